import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Files by path; undefined removes one. */
export type Change = Readonly<Record<string, string | undefined>>;

/** A Git repository in a temporary folder, which Argo CD reads by its file:// address. */
export class Repository {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** A repository without a commit. */
  static async create(): Promise<Repository> {
    const repository = new Repository(await mkdtemp(join(tmpdir(), 'mercato-argocd-')));
    await repository.#git('init', '--quiet', '--initial-branch=main');
    return repository;
  }

  get url(): string {
    return pathToFileURL(this.#folder).href;
  }

  /** Commits a change. @returns the commit */
  async commit(message: string, change: Change): Promise<string> {
    for (const [path, content] of Object.entries(change)) {
      const file = join(this.#folder, path);
      if (content === undefined) await rm(file);
      else {
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, content);
      }
    }
    await this.#git('add', '--all');
    await this.#git('commit', '--quiet', '--message', message);
    return this.head();
  }

  /** `git revert` of the newest commit. @returns the commit that takes it back */
  async revert(): Promise<string> {
    await this.#git('revert', '--no-edit', 'HEAD');
    return this.head();
  }

  head(): Promise<string> {
    return this.#git('rev-parse', 'HEAD');
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** With nobody's configuration: a hook or a signing key of the machine's would change what is tested. */
  async #git(...args: readonly string[]): Promise<string> {
    const who = ['-c', 'user.name=Platform', '-c', 'user.email=platform@example.com', '-c', 'commit.gpgsign=false'];
    const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' };
    const { stdout } = await run('git', [...who, ...args], { cwd: this.#folder, env });
    return stdout.trim();
  }
}
