import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { megabytes, referenceOf } from './build.ts';
import { inNode } from './builders/clustertool.ts';
import { clusterToolPath, findBuilder, NoBuilderError } from './builders/find.ts';
import { CommandError, run } from './run.ts';

describe('building images', () => {
  it('names an image after registry, image and tag', () => {
    expect(referenceOf({ name: 'payment' }, '1.0')).to.equal('localhost/mercato/payment:1.0');
    expect(referenceOf({ name: 'payment' }, '1.0', 'registry.example/shop/')).to.equal(
      'registry.example/shop/mercato/payment:1.0',
    );
  });

  it('completes a short name as Kubernetes does, and no other', () => {
    expect(inNode('mercato/payment:1')).to.equal('docker.io/mercato/payment:1');
    expect(inNode('localhost/mercato/payment:1')).to.equal('localhost/mercato/payment:1');
    expect(inNode('registry.example/a:1')).to.equal('registry.example/a:1');
    expect(inNode('payment:1')).to.equal('docker.io/payment:1');
  });

  it('counts in millions, as registries do', () => expect(megabytes(174_082_048)).to.equal('174 MB'));

  describe('without anything that builds', () => {
    let folder: string;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'mercato-images-'));
    });
    afterEach(() => rm(folder, { recursive: true }));

    it('refuses a builder that it does not know, and names those that it does', async () => {
      const failure = await findBuilder(folder, { MERCATO_BUILDER: 'kaniko' }).catch((error: unknown) => error);
      expect(failure).to.be.instanceOf(NoBuilderError);
      expect((failure as Error).message).to.match(/kaniko: one of docker, podman, cluster, buildah/);
    });

    it('finds the tool for machines without Docker where it is said to be, and only there', async () => {
      const tool = join(folder, 'tool');
      expect(clusterToolPath(folder, { MERCATO_CLUSTER_TOOL: tool })).to.equal(undefined);
      await writeFile(tool, '');
      expect(clusterToolPath(folder, { MERCATO_CLUSTER_TOOL: tool })).to.equal(tool);
    });
  });

  it('tells what a program that failed wrote last, and its status', async () => {
    const failing = ['-e', 'console.error("no space left"); process.exit(7)'];
    const failure = await run(process.execPath, failing).catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(CommandError);
    expect((failure as CommandError).status).to.equal(7);
    expect((failure as Error).message)
      .to.include('ended with status 7')
      .and.include('no space left');
  });

  it('says of a program that is not there that it cannot be run', async () => {
    const failure = await run('/nowhere/program', []).catch((error: unknown) => error);
    expect((failure as Error).message).to.match(/\/nowhere\/program: cannot be run/);
  });

  it('ends a program that takes too long', async () => {
    const failure = await run(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { timeoutMs: 300 }).catch(
      (error: unknown) => error,
    );
    expect((failure as Error).message).to.match(/was ended by SIGTERM/);
  });
});
