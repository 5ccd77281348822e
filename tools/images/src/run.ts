import { spawn } from 'node:child_process';

/** How a program is run. */
export interface RunOptions {
  /** @default this process's */
  readonly cwd?: string;
  /** Added to this process's environment. @default nothing */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to its standard input. @default nothing */
  readonly input?: string;
  /** After so many milliseconds it is ended. @default ten minutes */
  readonly timeoutMs?: number;
}

/** A program could not be run, failed, or took too long. The message has the last lines that it wrote. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  /** Undefined when it did not start, or a signal ended it. */
  readonly status: number | undefined;
  readonly stderr: string;

  constructor(message: string, status: number | undefined, stderr: string) {
    super(message);
    this.status = status;
    this.stderr = stderr;
  }
}

const TEN_MINUTES_MS = 600_000;
const SHOWN_LINES = 15;

/** Runs a program to its end and answers its standard output. @throws CommandError */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { cwd, env, input, timeoutMs = TEN_MINUTES_MS } = options;
  const child = spawn(program, args, {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
  // A program that ends without reading breaks the pipe; why it ended is what its status and its words tell.
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  // Not spawn's own timeout: of a program that cannot be run, its timer goes on.
  const timer = setTimeout(() => child.kill(), timeoutMs);
  const how = await new Promise<number | NodeJS.Signals | Error>((resolve) => {
    child.once('error', resolve).once('close', (status, signal) => resolve(status ?? signal ?? 0));
  });
  clearTimeout(timer);
  if (how === 0) return stdout();
  const named = [program, ...args.slice(0, 3)].join(' ');
  if (how instanceof Error) throw new CommandError(`${named}: cannot be run: ${how.message}`, undefined, '');
  const last = `${stdout()}\n${stderr()}`.trim().split('\n').slice(-SHOWN_LINES).join('\n  ');
  const why =
    typeof how === 'number' ? `ended with status ${how}` : `was ended by ${how} (it may take ${timeoutMs / 1000} s)`;
  throw new CommandError(
    `${named} ${why}; it wrote last:\n  ${last}`,
    typeof how === 'number' ? how : undefined,
    stderr(),
  );
}

/** Whether a program can be run and answers with status 0. */
export function succeeds(program: string, args: readonly string[], timeoutMs = 20_000): Promise<boolean> {
  return run(program, args, { timeoutMs }).then(
    () => true,
    () => false,
  );
}

function text(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString('utf8');
}
