import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { BuildError } from './binaries/go.ts';
import { ensureTool, isToolName, TOOLS, toolVersion } from './tools.ts';

const platform = { os: 'linux', arch: 'amd64' };

describe('ensuring tools', () => {
  let root: string;
  let bin: string;
  let cache: string;
  let env: Record<string, string>;
  let lines: string[];

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'tools-'));
    bin = join(root, 'bin');
    cache = join(root, 'tools', `helm-${toolVersion('helm')}-linux-amd64`);
    mkdirSync(bin);
    env = { MERCATO_CACHE: root, PATH: bin };
    lines = [];
  });

  afterEach(() => rmSync(root, { recursive: true }));

  const ensureHelm = () => ensureTool('helm', { env, platform, onProgress: (line) => lines.push(line) });
  const put = (folder: string, name: string, script: string) =>
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const failure = () =>
    ensureHelm().then(
      () => expect.fail('there is nothing to take and nothing to build with'),
      (error: Error) => error,
    );

  it('takes the one on PATH if it is of the pinned release, without a word', async () => {
    put(bin, 'helm', 'echo v3.19.0+g3d8990f');
    expect(await ensureHelm()).to.equal(join(bin, 'helm'));
    expect(lines).to.deep.equal([]);
  });

  for (const said of ['v3.18.6+gb76a950', 'v3.19.0-rc.1', 'v3.19.01', 'v13.19.0', 'v3.19.0.1']) {
    it(`passes over a helm on PATH that calls itself ${said}`, async () => {
      put(bin, 'helm', `echo ${said}`);
      expect(await failure()).to.be.instanceOf(BuildError);
    });
  }

  it('passes over one on PATH that cannot say its version', async () => {
    put(bin, 'helm', 'echo v3.19.0; exit 1');
    expect(await failure()).to.be.instanceOf(BuildError);
  });

  it('takes the one in the cache, and runs nothing to find out its version', async () => {
    mkdirSync(cache, { recursive: true });
    put(cache, 'helm', `touch ${root}/ran`);
    put(bin, 'helm', `touch ${root}/ran`);
    expect(await ensureHelm()).to.equal(join(cache, 'helm'));
    expect(existsSync(join(root, 'ran'))).to.equal(false);
  });

  it('says what to do when it would have to be built and there is no Go', async () => {
    expect((await failure()).message)
      .to.include('no "go" on PATH')
      .and.include('install Go 1.25 or newer')
      .and.include('put helm v3.19.0 on PATH');
    expect(existsSync(join(cache, '.lock'))).to.equal(false);
  });

  it('builds once for two that ask at the same time, removes leftovers, and keeps what it built', async () => {
    mkdirSync(join(cache, '.build-helm-x1'), { recursive: true });
    env = { ...env, PATH: `${bin}:${process.env['PATH']}` };
    const go = ['case $1 in', 'version) echo go version go1.26.0;;', `install) echo "$@" >> ${root}/built`];
    put(bin, 'go', [...go, 'echo program > "$GOBIN/helm"; chmod +x "$GOBIN/helm";;', 'esac'].join('\n'));
    put(bin, 'helm', 'echo v0.0.1');
    expect(await Promise.all([ensureHelm(), ensureHelm()])).to.deep.equal([join(cache, 'helm'), join(cache, 'helm')]);
    expect(readFileSync(join(root, 'built'), 'utf8').trim().split('\n'))
      .to.have.lengthOf(1)
      .and.to.satisfy(([line]: string[]) => line!.endsWith('helm.sh/helm/v3/cmd/helm@v3.19.0'));
    expect(readdirSync(cache).sort()).to.deep.equal(['helm', 'logs']);
    expect(lines.filter((line) => line === 'building helm v3.19.0')).to.have.lengthOf(1);
  });

  it('knows its tools by name', () => {
    expect(TOOLS.every(isToolName)).to.equal(true);
    expect(isToolName('tiller')).to.equal(false);
  });
});

describe('the helm that charts are rendered with', function () {
  this.timeout(600_000);

  it('is of the pinned release, and takes a chart that needs a Kubernetes as new as ours', async () => {
    const helm = await ensureTool('helm');
    const chart = mkdtempSync(join(tmpdir(), 'chart-'));
    try {
      const name = ['apiVersion: v2', 'name: asks', 'version: 1.0.0', "kubeVersion: '>=1.33.0-0'"];
      writeFileSync(join(chart, 'Chart.yaml'), name.join('\n'));
      mkdirSync(join(chart, 'templates'));
      writeFileSync(join(chart, 'templates', 'a.yaml'), 'kubernetes: {{ .Capabilities.KubeVersion.Version }}');
      const run = (...args: string[]) => execFileSync(helm, args, { encoding: 'utf8' });
      expect(run('version', '--short')).to.match(/^v3\.19\.0(\+|\n|$)/);
      expect(run('template', chart)).to.include('kubernetes: v1.34');
    } finally {
      rmSync(chart, { recursive: true });
    }
  });
});
