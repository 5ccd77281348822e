import type { ControlPlane } from '@mercato/controlplane';
import type { ApiClient, ApiResponse } from '@mercato/controlplane/request.ts';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import { roles } from './roles.ts';
import {
  as,
  boundarySpec,
  collection,
  create,
  type Draft,
  draft,
  grant,
  grantEverywhere,
  installApi,
  messageOf,
  participantSpec,
  patch,
  placeOf,
  restockSpec,
  runDraft,
  sagaDraft,
} from './testing.ts';

describe('who may do what', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let namespace: string;
  const people: Record<string, ApiClient> = {};

  const decision = (by: string, more: object = {}) => ({
    holdId: 'h1',
    do: 'Retry',
    reason: 'it is up again',
    by,
    ...more,
  });
  const approval = (by: string) => ({ decision: 'Approve', by });

  before(async () => {
    plane = await sharedControlPlane();
    await installApi(plane);
    namespace = await uniqueNamespace(plane, 'access');
    const roles = {
      vera: 'view',
      edith: 'edit',
      olga: 'operate',
      oscar: 'operate',
      anna: 'approve',
      paul: 'platform',
      nobody: undefined,
    };
    for (const [user, role] of Object.entries(roles)) {
      people[user] = await as(plane, user);
      if (role !== undefined) await grant(plane, namespace, user, `mercato-${role}`);
    }
  });

  const by = (user: string): ApiClient => people[user]!;

  function allowed(answer: ApiResponse): void {
    expect(answer.status, messageOf(answer)).to.be.within(200, 201);
  }

  function forbidden(answer: ApiResponse, ...words: string[]): void {
    expect(answer.status, messageOf(answer)).to.equal(403);
    for (const word of words) expect(messageOf(answer)).to.include(word);
  }

  /** What the API server says to the user's own question. */
  async function may(client: ApiClient, verb: string, resource: string): Promise<boolean> {
    const answer = await client('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
      method: 'POST',
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes: { group: 'mercato.dev', resource, verb } },
      },
    });
    return (answer.body as { status: { allowed: boolean } }).status.allowed;
  }

  async function existing(object: Draft): Promise<Draft> {
    allowed(await create(plane.request, namespace, object));
    return object;
  }

  it('a viewer sees and changes nothing', async () => {
    const run = await existing(runDraft('viewed'));
    allowed(await by('vera')(collection('ordersagaruns', namespace)));
    allowed(await by('vera')(collection('participants', namespace)));
    forbidden(await patch(by('vera'), namespace, run, { spec: { decision: decision('vera') } }));
    forbidden(await create(by('vera'), namespace, runDraft('new')));
  });

  it('someone without a role sees nothing', async () => {
    forbidden(await by('nobody')(collection('ordersagaruns', namespace)));
  });

  it('an operator decides and pauses in their own name', async () => {
    const run = await existing(runDraft('decided'));
    allowed(await patch(by('olga'), namespace, run, { spec: { decision: decision('olga') } }));
    allowed(
      await patch(by('olga'), namespace, run, {
        spec: { pause: { until: '2026-12-24T00:00:00Z', reason: 'stocktaking' } },
      }),
    );
    forbidden(await create(by('olga'), namespace, sagaDraft('mine')));
  });

  it('nobody decides in the name of another', async () => {
    const run = await existing(runDraft('forged'));
    forbidden(
      await patch(by('olga'), namespace, run, { spec: { decision: decision('oscar') } }),
      'decision.by must be the user that sends it',
      'set it to olga',
    );
    forbidden(await patch(plane.request, namespace, run, { spec: { decision: decision('olga') } }), 'set it to admin');
  });

  it('nobody changes the decision of another and leaves the name', async () => {
    const run = await existing(runDraft('changed'));
    allowed(
      await patch(by('olga'), namespace, run, {
        spec: { decision: decision('olga', { do: 'Skip', outputs: { id: 'r-1' } }) },
      }),
    );
    for (const change of [
      { do: 'Abort', outputs: null },
      { reason: 'other' },
      { holdId: 'h2' },
      { step: 'a' },
      { outputs: { id: 'r-2' } },
    ]) {
      forbidden(await patch(by('oscar'), namespace, run, { spec: { decision: change } }), 'set it to oscar');
    }
    allowed(await patch(by('oscar'), namespace, run, { spec: { decision: decision('oscar', { outputs: null }) } }));
  });

  it('a decision of another does not hinder other changes', async () => {
    const run = await existing(runDraft('carried'));
    allowed(await patch(by('olga'), namespace, run, { spec: { decision: decision('olga') } }));
    allowed(
      await patch(by('oscar'), namespace, run, { spec: { pause: { until: '2026-12-24T00:00:00Z', reason: 'x' } } }),
    );
    allowed(await patch(plane.request, namespace, run, { metadata: { finalizers: ['mercato.dev/run'] } }));
    allowed(await patch(plane.request, namespace, run, { metadata: { finalizers: null } }));
  });

  it('an editor starts runs and defines sagas, and does not decide', async () => {
    allowed(await create(by('edith'), namespace, sagaDraft('checkout')));
    allowed(await create(by('edith'), namespace, runDraft('edited')));
    forbidden(
      await patch(by('edith'), namespace, runDraft('edited'), { spec: { decision: decision('edith') } }),
      'needs the verb decide',
      'mercato-operate',
    );
    forbidden(
      await create(by('edith'), namespace, runDraft('born-decided', { decision: decision('edith') })),
      'needs the verb decide',
    );
    forbidden(await create(by('edith'), namespace, draft('Participant', 'inventory', participantSpec())));
  });

  it('only the platform writes participants', async () => {
    allowed(await create(by('paul'), namespace, draft('Participant', 'inventory', participantSpec())));
    forbidden(
      await patch(by('olga'), namespace, draft('Participant', 'inventory', {}), { spec: { audience: 'other' } }),
    );
  });

  it('only the platform draws PCI boundaries, and sees to the card namespaces', async () => {
    const boundary = draft('PciBoundary', `access-${namespace}`, boundarySpec());
    for (const [user, role] of [
      ['vera', 'view'],
      ['edith', 'edit'],
      ['olga', 'operate'],
      ['anna', 'approve'],
      ['paul', 'platform'],
    ] as const)
      await grantEverywhere(plane, user, `mercato-${role}`);
    for (const user of ['vera', 'edith', 'olga', 'anna']) forbidden(await create(by(user), namespace, boundary));
    allowed(await create(by('paul'), namespace, boundary, { dryRun: true }));
    allowed(await by('vera')(placeOf('PciBoundary', namespace)));
    for (const user of ['vera', 'edith', 'olga', 'anna', 'paul'])
      expect(await may(by(user), 'administer', 'pciboundaries'), user).to.equal(user === 'paul');
  });

  it('no built-in role comes with what the platform, operators and approvers may', () => {
    const signed = JSON.stringify(roles().filter((role) => !/-(view|edit)"/.test(JSON.stringify(role))));
    expect(signed).to.include('mercato-platform').and.include('mercato-operate').and.include('mercato-approve');
    expect(signed).not.to.include('aggregate-to');
  });

  it('an approver approves in their own name, and others do not', async () => {
    const order = await existing(draft('RestockOrder', 'mugs', restockSpec()));
    forbidden(await patch(by('olga'), namespace, order, { spec: { approval: approval('olga') } }));
    forbidden(
      await patch(by('edith'), namespace, order, { spec: { approval: approval('edith') } }),
      'needs the verb approve',
      'mercato-approve',
    );
    forbidden(await patch(by('anna'), namespace, order, { spec: { approval: approval('edith') } }), 'set it to anna');
    allowed(await patch(by('anna'), namespace, order, { spec: { approval: approval('anna') } }));
    const born = draft('RestockOrder', 'born-approved', restockSpec({ approval: approval('edith') }));
    forbidden(await create(by('edith'), namespace, born), 'needs the verb approve');
  });

  it('a restore by an administrator brings back what others signed', async () => {
    allowed(await create(plane.request, namespace, runDraft('restored', { decision: decision('olga') })));
    allowed(
      await create(
        plane.request,
        namespace,
        draft('RestockOrder', 'restored', restockSpec({ approval: approval('anna') })),
      ),
    );
  });

  it('no role of people writes a status', async () => {
    const run = await existing(runDraft('status'));
    for (const user of ['vera', 'edith', 'olga', 'anna', 'paul']) {
      forbidden(await patch(by(user), namespace, run, { status: { phase: 'Succeeded' } }, '/status'));
    }
  });
});
