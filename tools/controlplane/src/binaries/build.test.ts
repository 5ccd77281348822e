import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { KUBERNETES_VERSION } from '../versions.ts';
import { build, buildTarget } from './build.ts';
import { BuildError } from './go.ts';

const machineHasGo = spawnSync('go', ['version']).status === 0;

describe('building with Go', function () {
  this.timeout(120_000);
  let folder: string;
  let moduleFolder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'build-'));
    moduleFolder = join(folder, 'module');
    mkdirSync(moduleFolder);
    writeFileSync(join(moduleFolder, 'go.mod'), 'module example.com/hello\n\ngo 1.21\n');
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const target = (linkerFlags = '') => ({ moduleFolder, package: '.', linkerFlags });
  const source = (text: string) => writeFileSync(join(moduleFolder, 'main.go'), text);
  const failure = (env: Record<string, string | undefined>): Promise<Error> =>
    build('hello', target(), folder, env).then(
      () => expect.fail('the build should fail'),
      (error: Error) => error,
    );

  if (machineHasGo) {
    it('leaves a program with the linker flags in it, and nothing unfinished', async () => {
      source('package main\n\nvar version = "unset"\n\nfunc main() { print(version) }\n');
      await build('hello', target('-X main.version=v9'), folder, process.env);
      const { stderr } = spawnSync(join(folder, 'hello'), { encoding: 'utf8' });
      expect(stderr).to.equal('v9');
      expect(readdirSync(folder).sort()).to.deep.equal(['hello', 'logs', 'module']);
    });

    it("fails with the compiler's words and the log's path, and leaves no program", async () => {
      source('package main\n\nfunc main() { undefinedFunction() }\n');
      const error = await failure(process.env);
      expect(error).to.be.instanceOf(BuildError);
      expect(error.message)
        .to.include('undefined: undefinedFunction')
        .and.include(join(folder, 'logs', 'build-hello.log'));
      expect(existsSync(join(folder, 'hello'))).to.equal(false);
    });

    it('can resolve every command in the pinned modules', () => {
      for (const name of ['etcd', 'kube-apiserver', 'kubectl', 'kube-controller-manager'] as const) {
        const { moduleFolder: cwd, package: path } = buildTarget(name);
        expect(execFileSync('go', ['list', '-f', '{{.Name}}', path], { cwd, encoding: 'utf8' }).trim()).to.equal(
          'main',
        );
      }
    });
  }

  it('says what to do when there is no Go', async () => {
    const error = await failure({ PATH: folder });
    expect(error).to.be.instanceOf(BuildError);
    expect(error.message)
      .to.include('no "go" on PATH')
      .and.include('install Go 1.25')
      .and.include('KUBEBUILDER_ASSETS');
  });

  it('says what to do when Go is too old', async () => {
    writeFileSync(join(folder, 'go'), '#!/bin/sh\necho "go version go1.19.8 linux/amd64"\n', { mode: 0o755 });
    const error = await failure({ PATH: folder });
    expect(error).to.be.instanceOf(BuildError);
    expect(error.message).to.include('Go 1.25 or newer is needed').and.include('go1.19.8');
  });

  it('tells the API server its version, for clients that look at it', () => {
    expect(buildTarget('kube-apiserver').linkerFlags)
      .to.include(`version.gitVersion=${KUBERNETES_VERSION}`)
      .and.include('version.gitMinor=35');
  });
});
