import { glob, readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { kinds } from './index.ts';
import type { OrderSaga } from './ordersaga.ts';
import type { Participant } from './participant.ts';
import { type Draft, installApi, placeOf } from './testing.ts';

const ROOT = fileURLToPath(new URL('../../../examples/', import.meta.url));

async function documents(file: string): Promise<Draft[]> {
  return parseAllDocuments(await readFile(join(ROOT, file), 'utf8')).map((document) => document.toJS() as Draft);
}

async function ofKind<T>(file: string, kind: string): Promise<T[]> {
  return (await documents(file)).filter((document) => document.kind === kind) as unknown as T[];
}

// What makes a cluster (eks/) is of others' kinds.
const files = (await Array.fromAsync(glob('**/*.yaml', { cwd: ROOT }))).filter((file) => !file.startsWith('eks/'));

describe('the examples', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let agent: Agent;

  before(async () => {
    plane = await sharedControlPlane();
    await installApi(plane);
    const { certPem: cert, keyPem: key } = plane.adminCertificate;
    agent = new Agent({ ca: plane.caPem, cert, key, keepAlive: true });
  });

  after(() => agent?.destroy());

  /** Server-side apply as kubectl does it, with strict validation: an unknown field is an error. Answers status, warnings and body. */
  function apply(path: string, object: Draft): Promise<{ status: number; warnings: string[]; body: string }> {
    const url = new URL(`${path}?fieldManager=example&fieldValidation=Strict`, plane.url);
    return new Promise((resolve, reject) => {
      const sent = request(
        url,
        { method: 'PATCH', agent, headers: { 'content-type': 'application/apply-patch+yaml' } },
        async (answer) => {
          const chunks = await Array.fromAsync(answer as AsyncIterable<Buffer>);
          const warning = answer.headers['warning'];
          const warnings = warning === undefined ? [] : [warning].flat();
          resolve({ status: answer.statusCode ?? 0, warnings, body: Buffer.concat(chunks).toString() });
        },
      );
      sent.on('error', reject).end(JSON.stringify(object));
    });
  }

  for (const file of files.toSorted()) {
    it(`${file} is applied as it is written, without a warning`, async () => {
      const namespace = await uniqueNamespace(plane, 'examples');
      for (const object of await documents(file)) {
        const path = `${placeOf(object.kind, namespace)}/${object.metadata.name}`;
        const isClusterWide = !path.includes(`/namespaces/${namespace}/`);
        // One that an interrupted run left would be updated, which says as much.
        const answer = await apply(path, object);
        if (isClusterWide) await plane.request(path, { method: 'DELETE' });
        expect(answer.status, answer.body).to.be.oneOf(isClusterWide ? [200, 201] : [201]);
        expect(answer.warnings).to.deep.equal([]);
        expect(includes(JSON.parse(answer.body).spec, object.spec), 'a field was pruned or changed').to.equal(true);
      }
    });
  }

  it('show every kind', async () => {
    const shown = new Set((await Promise.all(files.map(documents))).flat().map((document) => document.kind));
    expect([...shown]).to.have.members(kinds.map((kind) => kind.kind));
  });

  it('name only commands that the participants have, locally and in a cluster', async () => {
    const sagas = await ofKind<OrderSaga>('ordersaga-checkout.yaml', 'OrderSaga');
    for (const file of ['participants.yaml', 'in-cluster/participants.yaml']) {
      const participants = await ofKind<Participant>(file, 'Participant');
      const commands = participants.flatMap(({ metadata, spec }) =>
        spec.commands.map((command) => `${metadata.name}/${command.name}`),
      );
      for (const step of sagas.flatMap((saga) => saga.spec.steps)) {
        expect(commands).to.include(`${step.participant}/${step.command}`);
        if (step.compensation !== undefined) expect(commands).to.include(`${step.participant}/${step.compensation}`);
      }
    }
  });

  it('differ in a cluster by the address alone', async () => {
    const withoutAddress = async (file: string) =>
      (await ofKind<Participant>(file, 'Participant')).map(({ metadata, spec: { url: _u, service: _s, ...rest } }) => ({
        metadata,
        rest,
      }));
    expect(await withoutAddress('in-cluster/participants.yaml')).to.deep.equal(
      await withoutAddress('participants.yaml'),
    );
  });
});

/** Whether `whole` has all that `part` has, with the same values; `whole` may have more fields (defaults). */
function includes(whole: unknown, part: unknown): boolean {
  if (typeof part !== 'object' || part === null) return whole === part;
  if (typeof whole !== 'object' || whole === null) return false;
  if (Array.isArray(part) && (whole as unknown[]).length !== part.length) return false;
  return Object.entries(part).every(([name, value]) => includes((whole as Record<string, unknown>)[name], value));
}
