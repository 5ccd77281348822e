import { spawn } from 'node:child_process';

/** kubectl ended with a status other than 0. Its own words are in the message and in `stderr`. */
export class KubectlError extends Error {
  override readonly name = 'KubectlError';
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;

  constructor(args: readonly string[], status: number | null, stdout: string, stderr: string) {
    super(`kubectl ${args.join(' ')}: status ${status}: ${stderr.trim()}`);
    this.status = status;
    this.stdout = stdout;
    this.stderr = stderr;
  }
}

/**
 * Runs kubectl and answers what it wrote to stdout. Its discovery cache lies in `cacheFolder`: the shared one in the home
 * folder goes by host and port, and would show this control plane the kinds of an earlier one on the same port.
 *
 * @throws KubectlError
 */
export async function runKubectl(
  binary: string,
  kubeconfig: string,
  cacheFolder: string,
  args: readonly string[],
  stdin: string | undefined,
): Promise<string> {
  const child = spawn(binary, [`--kubeconfig=${kubeconfig}`, `--cache-dir=${cacheFolder}`, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // kubectl may end before it has read everything; what it says about that counts, not the broken pipe.
  child.stdin.on('error', () => {});
  child.stdin.end(stdin ?? '');
  const status = await new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', resolve),
  );
  const output = Buffer.concat(stdout).toString();
  if (status !== 0) throw new KubectlError(args, status, output, Buffer.concat(stderr).toString());
  return output;
}
