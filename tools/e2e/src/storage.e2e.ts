import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { imageIn } from './deploy.ts';
import { isOver, nodePod, untilPod } from './enforcement.ts';
import { podSecurity, troubleOf, volumes } from './kube.ts';
import { needs } from './needs.ts';
import type { Manifest } from './objects.ts';
import { openSession, type Session } from './session.ts';
import { StaticVolumes } from './storage.ts';

describe('volumes where there is no default StorageClass', function () {
  this.timeout(600_000);
  let session: Session;
  let place: Manifest;
  let namespace: string;
  let provider: StaticVolumes;

  before(async function () {
    session = await openSession(['tools']);
    needs(this, session.able.defaultStorageClass === undefined, 'a cluster without a default StorageClass');
    namespace = `mercato-storage-${randomBytes(3).toString('hex')}`;
    place = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: podSecurity('restricted') } };
    provider = new StaticVolumes(session.client, imageIn(session.images, 'tools'), `${namespace}-volumes`);
    await session.objects.apply(place);
  });
  after(async () => {
    if (place !== undefined) {
      await session.objects.removeAll([place]);
      await provider.remove();
    }
    await session?.close();
  });

  const claim = (): Manifest => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data', namespace },
    spec: { accessModes: ['ReadWriteOncePod'], resources: { requests: { storage: '1Gi' } } },
  });
  const own = async () =>
    (await session.client.list(volumes)).items.filter(({ metadata }) => metadata.name.startsWith(`${namespace}-`));

  /** Runs a few lines as nobody, with the claim at /data, and answers how they ended. */
  const runWith = async (name: string, script: string): Promise<string | undefined> => {
    const pod = nodePod(namespace, name, imageIn(session.images, 'tools'), script);
    const spec = pod['spec'] as { containers: Record<string, unknown>[] };
    spec.containers[0]!['volumeMounts'] = [{ name: 'data', mountPath: '/data' }];
    const withVolume = { ...spec, volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] };
    await session.objects.apply({ ...pod, spec: withVolume });
    await provider.provide([namespace]);
    const ended = await untilPod(session.client, namespace, name, ({ status }) => isOver(status?.phase));
    const { terminated } = ended.status?.containerStatuses?.[0]?.state ?? {};
    await session.objects.removeAll([pod]);
    return ended.status?.phase === 'Succeeded' ? terminated?.message : troubleOf(ended);
  };
  const say = (expression: string) => `require('node:fs').writeFileSync('/dev/termination-log', ${expression})`;

  it('are written by nobody, outlive a pod, and are one for each claim', async () => {
    await session.objects.apply(claim());
    const first = `require('node:fs').writeFileSync('/data/note', 'kept'); ${say('String(process.getuid())')}`;
    expect(await runWith('first', first)).to.equal('65532');
    expect(await provider.provide([namespace]), 'made for a claim that has one').to.equal(0);
    expect(await runWith('second', say("require('node:fs').readFileSync('/data/note', 'utf8')"))).to.equal('kept');
    expect(await own()).to.have.length(1);
  });

  it('stay while a claim has them, and go with it; the next claim of the name finds nothing of it', async () => {
    await provider.remove();
    expect(await own(), 'in use').to.have.length(1);
    await session.objects.removeAll([claim()]);
    await provider.remove();
    expect(await own()).to.deep.equal([]);
    await session.objects.apply(claim());
    const look = say("String(require('node:fs').existsSync('/data/note'))");
    expect(await runWith('third', look)).to.equal('false');
  });
});
