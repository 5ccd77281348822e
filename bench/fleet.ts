import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Component, endComponent } from '@mercato/controlplane/component.ts';
import { freePort } from '@mercato/controlplane/ports.ts';
import { startWatchdog, type Watchdog } from '@mercato/controlplane/watchdog.ts';
import { launch, type ProgramSpec, untilReady } from '@mercato/demo/local/process.ts';

const ROOT = join(import.meta.dirname, '..');

/** A program of the shop, by its file. */
export interface Member {
  readonly name: string;
  /** Below the repository's root. */
  readonly script: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Answers 200 once it works. @default /ready */
  readonly readyPath?: string;
  /** @default a free one */
  readonly port?: number;
}

/** Processes of a benchmark or a fault test, in a folder of their own; they end when this one does, however it ends. */
export class Fleet {
  readonly directory: string;
  readonly #watchdog: Watchdog;
  readonly #members = new Map<string, Component>();
  readonly #specs = new Map<string, ProgramSpec>();
  /** Names of programs that write a profile of themselves when they end, to `bench/out/profiles`. */
  readonly #profiled: ReadonlySet<string>;

  constructor(directory: string, profiled = process.env['PROFILE'] ?? '') {
    this.directory = directory;
    this.#watchdog = startWatchdog(process.env['BENCH_KEEP'] === undefined ? directory : undefined);
    this.#profiled = new Set(profiled.split(',').filter((name) => name !== ''));
  }

  /** Starts a program and waits until it works. @returns its address @throws ComponentError with the last lines of its log */
  async start({ name, script, env = {}, args = [], readyPath = '/ready', port }: Member): Promise<string> {
    const at = port ?? (await freePort());
    const url = `http://127.0.0.1:${at}`;
    const profile = `--cpu-prof --cpu-prof-dir=${join(ROOT, 'bench/out/profiles')} --cpu-prof-name=${name}.cpuprofile`;
    const options = [env['NODE_OPTIONS'] ?? '', this.#profiled.has(name) ? profile : ''].join(' ').trim();
    const spec = {
      name,
      script: join(ROOT, script),
      args,
      env: {
        HOST: '127.0.0.1',
        PORT: String(at),
        DATA_DIR: join(this.directory, name),
        ...env,
        ...(options === '' ? {} : { NODE_OPTIONS: options }),
      },
      logPath: join(this.directory, 'logs', `${name}.log`),
      readyUrl: url + readyPath,
    };
    await mkdir(join(this.directory, name), { recursive: true });
    this.#specs.set(name, spec);
    await this.#launch(spec);
    return url;
  }

  /** Starts one again that has ended, as it was started first, and waits until it works. @throws ComponentError */
  async startAgain(name: string): Promise<void> {
    const spec = this.#specs.get(name);
    if (spec === undefined) throw new Error(`${name} was never started`);
    await this.#launch(spec);
  }

  async #launch(spec: ProgramSpec): Promise<void> {
    const member = await launch(spec);
    this.#members.set(spec.name, member);
    // The pid of one that has ended may be another's by now.
    this.#watchdog.guard(
      [...this.#members.values()].filter(({ ended }) => ended() === undefined).map(({ pid }) => pid),
    );
    await untilReady(member, spec);
  }

  /** Process ids by name. */
  get pids(): Map<string, number> {
    return new Map([...this.#members].map(([name, { pid }]) => [name, pid]));
  }

  /** How one ended, in words; undefined while it runs. */
  endOf(name: string): string | undefined {
    return this.#members.get(name)?.ended();
  }

  /** Sends a signal that a program survives, as SIGSTOP. */
  signal(name: string, signal: NodeJS.Signals): void {
    this.#members.get(name)?.signal(signal);
  }

  /** Ends one with SIGKILL and returns when it is gone. */
  async kill(name: string): Promise<void> {
    const member = this.#members.get(name);
    if (member !== undefined) await endComponent(member, 0);
  }

  /** Ends one, as a roll-out would. Does nothing where it does not run. */
  async end(name: string): Promise<void> {
    const member = this.#members.get(name);
    if (member !== undefined) await endComponent(member, GRACE_MS);
  }

  /** Ends all, the last first. Safe to repeat. */
  async endAll(): Promise<void> {
    for (const member of [...this.#members.values()].toReversed()) await endComponent(member, GRACE_MS);
  }

  /** Ends all, and removes the folder unless BENCH_KEEP is set. Safe to repeat. */
  async stop(): Promise<void> {
    await this.endAll();
    this.#watchdog.dismiss();
    if (process.env['BENCH_KEEP'] === undefined) await rm(this.directory, { recursive: true, force: true });
  }
}

/** More than the services' own grace for requests under way. */
const GRACE_MS = 15_000;
