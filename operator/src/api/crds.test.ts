import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import { kinds } from './index.ts';
import { crdName } from './kind.ts';
import type { OrderSaga } from './ordersaga.ts';
import type { OrderSagaRun } from './ordersagarun.ts';
import type { Participant } from './participant.ts';
import { MAX_FINDING_MESSAGE, MAX_LISTED, type PciBoundary, type PciBoundaryStatus } from './pciboundary.ts';
import {
  adjustmentSpec,
  boundarySpec,
  collection,
  create,
  type Draft,
  draft,
  inputDraft,
  installApi,
  messageOf,
  participantSpec,
  patch,
  placeOf,
  restockSpec,
  runDraft,
  sagaDraft,
  warehouseSpec,
} from './testing.ts';
import type { WarehouseInventory } from './warehouseinventory.ts';

describe('the custom resource definitions', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let namespace: string;

  before(async () => {
    plane = await sharedControlPlane();
    await installApi(plane);
    namespace = await uniqueNamespace(plane, 'crds');
  });

  async function stored<T>(object: Draft): Promise<T> {
    const answer = await create(plane.request, namespace, object);
    expect(answer.status, messageOf(answer)).to.equal(201);
    return answer.body as T;
  }

  for (const kind of kinds) {
    it(`${kind.kind} is established, structural and in the category mercato`, async () => {
      const answer = await plane.request(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crdName(kind)}`);
      const { status } = answer.body as {
        status: {
          conditions: { type: string; status: string; message: string }[];
          acceptedNames: { shortNames: string[]; categories: string[] };
        };
      };
      const conditions = Object.fromEntries(status.conditions.map((condition) => [condition.type, condition]));
      expect(conditions['Established']).to.include({ status: 'True' });
      expect(conditions['NonStructuralSchema'], conditions['NonStructuralSchema']?.message).to.equal(undefined);
      expect(status.acceptedNames.shortNames).to.deep.equal(kind.shortNames);
      expect(status.acceptedNames.categories).to.deep.equal(['mercato']);
    });
  }

  it('have short names that do not collide', () => {
    const names = kinds.flatMap((kind) => [kind.plural, kind.singular, ...kind.shortNames]);
    expect(new Set(names).size).to.equal(names.length);
  });

  describe('fill in', () => {
    it('what a saga does not say', async () => {
      const { spec } = await stored<OrderSaga>(sagaDraft('defaults'));
      expect(spec).to.deep.include({
        deadline: '15m',
        onStepFailure: 'Compensate',
        visibility: 'Always',
        ttlAfterFinished: { succeeded: '1h', compensated: '1d', aborted: '7d' },
      });
      expect(spec.steps[0]).to.deep.include({
        timeout: '10s',
        uses: [],
        pivot: false,
        retry: {
          maxAttempts: 10,
          initialInterval: '200ms',
          maxInterval: '30s',
          backoffPercent: 200,
          jitterPercent: 20,
        },
      });
    });

    it('the rest of a retry that says a part', async () => {
      const steps = [{ name: 'a', participant: 'p', command: 'c', retry: { maxAttempts: 9 } }];
      const { spec } = await stored<OrderSaga>(sagaDraft('partial', { steps }));
      expect(spec.steps[0]?.retry).to.deep.include({ maxAttempts: 9, maxInterval: '30s' });
    });

    it('the mode of a run, the limits and port of a participant, the policy of a warehouse', async () => {
      expect((await stored<OrderSagaRun>(runDraft('defaults'))).spec.mode).to.equal('Execute');
      const service = participantSpec({ url: undefined, service: { name: 'inventory' } });
      const participant = await stored<Participant>(draft('Participant', 'inventory', service));
      expect(participant.spec.service?.port).to.equal(8080);
      expect(participant.spec.limits).to.deep.equal({ maxInFlight: 64, maxAnswerBytes: 65_536 });
      const warehouse = await stored<WarehouseInventory>(draft('WarehouseInventory', 'leeds', warehouseSpec()));
      expect(warehouse.spec.policy).to.deep.equal({
        safetyStock: 0,
        reorderPoint: 0,
        reorderUpTo: 0,
        leadTime: '3d',
        autoApproveUpTo: 0,
      });
      expect(warehouse.spec).to.deep.include({ priority: 100, overrides: [] });
    });

    it('what a boundary does not say', async () => {
      const pods = { namespace: 'mercato-card', podLabels: { app: 'payment' } };
      const egress = [{ name: 'bank', from: pods, to: { pods }, ports: [{ port: 443 }], why: 'cards' }];
      const apiServer = { cidrs: ['10.0.0.0/20'], pods: [pods] };
      const object = draft('PciBoundary', 'defaults', boundarySpec({ egress, apiServer }));
      const answer = await create(plane.request, namespace, object, { dryRun: true });
      expect(answer.status, messageOf(answer)).to.equal(201);
      expect((answer.body as PciBoundary).spec).to.deep.equal({
        namespaces: ['mercato-card'],
        ingress: [],
        egress: [{ ...egress[0], ports: [{ port: 443, protocol: 'TCP' }], wide: false }],
        apiServer: { ...apiServer, ports: [443] },
        access: [],
        probes: { interval: '10m', namespaces: [] },
      });
    });
  });

  it('take the fullest status of a boundary, in an object that stays small', async () => {
    const name = `fullest-${namespace}`.slice(0, 40).replace(/-$/, '');
    const boundary = draft('PciBoundary', name, boundarySpec());
    await stored(boundary);
    const text = (length: number) => 'x'.repeat(length);
    const listed = <T>(item: T): T[] => Array.from({ length: MAX_LISTED }, () => item);
    const at = '2026-11-22T12:00:00Z';
    const message = text(MAX_FINDING_MESSAGE);
    const condition = (type: string) => ({
      type,
      status: 'False',
      observedGeneration: 1,
      lastTransitionTime: at,
      reason: text(64),
      message,
    });
    const status: Required<PciBoundaryStatus> = {
      observedGeneration: 1,
      conditions: ['Accepted', 'Enforced', 'Compliant'].map(condition) as Required<PciBoundaryStatus>['conditions'],
      findings: listed({
        rule: text(40),
        requirement: text(40),
        severity: 'Violation',
        object: text(192),
        message,
        since: at,
      }),
      findingCount: 4_000,
      violationCount: 4_000,
      probes: {
        lastTime: at,
        passed: 400,
        failed: 400,
        results: listed({ from: text(128), to: text(128), expected: 'Open', observed: 'Unknown', message }),
      },
      reverted: 4_000,
      lastReverted: at,
      policies: listed({ namespace: text(63), name: text(128), hash: text(16) }),
      policyCount: 150,
      matrix: { digest: text(16), ways: 4_000, workloads: 400 },
    };
    const answer = await patch(plane.request, namespace, boundary, { status }, '/status');
    expect(answer.status, messageOf(answer)).to.equal(200);
    expect((answer.body as PciBoundary).status).to.deep.equal(status);
    expect(JSON.stringify(answer.body).length).to.be.below(40_000);
    await plane.request(`${placeOf('PciBoundary', namespace)}/${name}`, { method: 'DELETE' });
  });

  it('prune unknown fields, and refuse them under strict validation', async () => {
    const newer = runDraft('newer', { input: inputDraft({ giftWrap: true }) });
    const strict = await create(plane.request, namespace, newer, { dryRun: true, query: 'fieldValidation=Strict' });
    expect(strict.status).to.equal(400);
    expect(messageOf(strict)).to.include('unknown field "spec.input.giftWrap"');
    const run = await stored<OrderSagaRun>(newer);
    expect(run.spec.input).not.to.have.property('giftWrap');
  });

  it('keep every field of a step’s output', async () => {
    const run = runDraft('outputs');
    await stored(run);
    const output = {
      reservationId: 'r-1',
      expiresAt: '2026-11-22T12:00:00Z',
      parts: 2,
      split: { leeds: [1, null, true] },
    };
    const steps = [{ name: 'reserve-stock', state: 'Succeeded', epoch: 1, attempts: 0, output }];
    const answer = await patch(plane.request, namespace, run, { status: { steps } }, '/status');
    expect(answer.status, messageOf(answer)).to.equal(200);
    expect((answer.body as OrderSagaRun).status?.steps?.[0]?.output).to.deep.equal(output);
  });

  it('keep status out of reach of a write to the object, and spec of a write to its status', async () => {
    const run = runDraft('subresource');
    await stored(run);
    const object = await patch(plane.request, namespace, run, { status: { phase: 'Succeeded' } });
    expect((object.body as OrderSagaRun).status?.phase).to.equal(undefined);
    const status = await patch(
      plane.request,
      namespace,
      run,
      { spec: { mode: 'View' }, status: { phase: 'Running' } },
      '/status',
    );
    expect((status.body as OrderSagaRun).spec.mode).to.equal('Execute');
    expect((status.body as OrderSagaRun).status?.phase).to.equal('Running');
  });

  it('let a field selector find held runs', async () => {
    const run = runDraft('held');
    await stored(run);
    await patch(plane.request, namespace, run, { status: { phase: 'Held' } }, '/status');
    const query = `?fieldSelector=${encodeURIComponent('status.phase=Held')}`;
    const { items } = (await plane.request(collection('ordersagaruns', namespace) + query)).body as {
      items: OrderSagaRun[];
    };
    expect(items.map((item) => item.metadata.name)).to.deep.equal(['checkout-held']);
  });

  describe('refuse to change', () => {
    async function refused(object: Draft, change: object, ...words: string[]): Promise<void> {
      const answer = await patch(plane.request, namespace, object, { spec: change });
      expect(answer.status, messageOf(answer)).to.equal(422);
      for (const word of words) expect(messageOf(answer)).to.include(word);
    }

    async function taken(object: Draft, change: object): Promise<void> {
      const answer = await patch(plane.request, namespace, object, { spec: change });
      expect(answer.status, messageOf(answer)).to.equal(200);
    }

    it('a run, but for decision and pause', async () => {
      const run = runDraft('fixed', { mode: 'View' });
      await stored(run);
      await refused(run, { mode: 'Execute' }, 'spec.mode', 'mode cannot change', 'create another run');
      await refused(
        run,
        { input: { lines: [{ sku: 'X', quantity: 1, unitPrice: 1 }] } },
        'spec.input',
        'input cannot change',
      );
      await refused(run, { input: { shipTo: { line1: 'added later' } } }, 'input cannot change');
      await refused(run, { input: { shipTo: { name: null } } }, 'input cannot change');
      await refused(run, { orderId: 'other' }, 'orderId cannot change');
      await refused(run, { sagaRef: { name: 'other' } }, 'sagaRef cannot change');
      const decision = { holdId: 'h1', do: 'Skip', outputs: { id: 'r-1' }, reason: 'done by hand', by: 'admin' };
      await taken(run, { decision });
      await taken(run, { decision: { ...decision, do: 'Retry', outputs: null } });
      await taken(run, { decision: null });
      await taken(run, { pause: { until: '2026-12-24T00:00:00Z', reason: 'stocktaking' } });
      await taken(run, { pause: null });
    });

    it('anything of a stock adjustment', async () => {
      const adjustment = draft('StockAdjustment', 'count-1', adjustmentSpec());
      await stored(adjustment);
      for (const change of [
        { quantity: 11 },
        { reason: 'Recount' },
        { countedAt: '2026-11-22T12:00:00Z' },
        { adjustmentId: 'count-2' },
      ]) {
        await refused(adjustment, change, 'spec', 'cannot change', 'create another one with a new adjustmentId');
      }
      await taken(adjustment, adjustmentSpec());
    });

    it('the goods of a restock order', async () => {
      const order = draft('RestockOrder', 'mugs', restockSpec());
      await stored(order);
      await refused(order, { lines: [{ sku: 'MUG', quantity: 11 }] }, 'spec.lines', 'create another RestockOrder');
      await refused(order, { warehouse: 'york' }, 'warehouse cannot change');
      await refused(order, { supplier: 'other' }, 'supplier cannot change');
      await refused(order, { leadTime: '4d' }, 'leadTime cannot change');
    });

    it('an approval or a cancellation once given', async () => {
      const order = draft('RestockOrder', 'approved', restockSpec());
      await stored(order);
      await taken(order, { approval: { decision: 'Approve', by: 'admin' } });
      await refused(order, { approval: null }, 'cannot be withdrawn or changed', 'set cancel instead');
      await refused(order, { approval: { decision: 'Reject', reason: 'too dear' } }, 'cannot be withdrawn or changed');
      await taken(order, { cancel: { reason: 'too dear' } });
      await refused(order, { cancel: null }, 'stays cancelled');
    });
  });
});
