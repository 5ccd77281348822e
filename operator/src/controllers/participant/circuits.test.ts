import { expect } from 'chai';
import { Registry } from 'prom-client';
import type { Participant } from '../../api/participant.ts';
import type { EventInput } from '../../kube/events.ts';
import { Fence } from '../../kube/fence.ts';
import { Store } from '../../kube/store.ts';
import type { CircuitView } from '../../participants/protection.ts';
import { VirtualClock } from '../../runtime/clock.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { eventually, TestCluster } from '../../testing/cluster.ts';
import { reportCircuits, shownCircuit } from './circuits.ts';
import { ParticipantController } from './controller.ts';
import { ParticipantHealth } from './health.ts';
import { participantMetrics } from './metrics.ts';
import { participants } from './registry.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const at = (seconds: number): string => new Date(NOW + seconds * 1000).toISOString();

describe('shownCircuit', () => {
  it('is the own one, unless another process has said that its own is open', () => {
    const other = { state: 'Open', until: at(5) } as const;
    expect(shownCircuit({ state: 'Closed' }, undefined, NOW)).to.deep.equal({ state: 'Closed' });
    expect(shownCircuit({ state: 'Closed' }, other, NOW)).to.deep.equal(other);
    expect(shownCircuit({ state: 'HalfOpen' }, other, NOW)).to.deep.equal(other);
    expect(shownCircuit({ state: 'Closed' }, other, NOW + 5000)).to.deep.equal({ state: 'Closed' });
    expect(shownCircuit({ state: 'Open', until: NOW + 1000 }, other, NOW)).to.deep.equal({
      state: 'Open',
      until: at(1),
    });
  });
});

describe('A circuit that opens in a process that keeps no statuses', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let told: string[];
  let registry: Registry;
  let report: ReturnType<typeof reportCircuits>;
  let clock: VirtualClock;
  const place = () => ({ namespace: cluster.namespace, name: 'sqs' });
  const current = (): Promise<Participant> => cluster.client.get(participants, place());
  const open = (seconds: number): CircuitView => ({
    state: 'Open',
    until: NOW + seconds * 1000,
    cause: { reason: 'Timeout', message: 'no answer', at: NOW },
  });

  before(async () => {
    cluster = await TestCluster.create();
    await cluster.apply({
      kind: 'Participant',
      metadata: { name: 'sqs' },
      spec: { url: 'http://127.0.0.1:1', audience: 'sqs', commands: [{ name: 'reserve', reasons: [] }] },
    });
  });
  after(() => cluster.close());
  beforeEach(async () => {
    told = [];
    clock = new VirtualClock({ epoch: NOW });
    registry = new Registry();
    const declared = new Store<Participant>();
    declared.replace([await current()]);
    report = reportCircuits({
      client: cluster.client,
      declared,
      recorder: { event: (_, { type, reason }: EventInput) => void told.push(`${type} ${reason}`) },
      metrics: participantMetrics(registry, function* () {}),
      logger: silentLogger,
      leads: () => false,
      enqueue: () => undefined,
    });
  });

  /** The process that keeps statuses, and whose own circuit is closed. */
  async function keep(): Promise<Participant> {
    const keeper = new ParticipantController({
      client: cluster.client,
      fence: new Fence(),
      health: new ParticipantHealth(),
      circuitOf: () => ({ state: 'Closed' }),
      clock,
    });
    await keeper.reconcile(await current());
    return current();
  }

  it('is told by an event and a metric, and stands in the status until its time is over', async () => {
    expect((await keep()).status?.circuit).to.deep.equal({ state: 'Closed' });
    report(cluster.namespace, 'sqs', open(5), 'Closed');
    await eventually(
      async () => (await current()).status?.circuit?.state === 'Open',
      () => 'it is shown',
    );
    const shown = await keep();
    expect(shown.status?.circuit).to.deep.equal({ state: 'Open', until: at(5) });
    const available = shown.status?.conditions?.find(({ type }) => type === 'Available');
    expect(available).to.include({ status: 'False', reason: 'CircuitOpen' });
    expect(available?.message).to.include(at(5));

    report(cluster.namespace, 'sqs', open(9), 'HalfOpen');
    await eventually(
      async () => (await current()).status?.circuit?.until === at(9),
      () => 'its new time is shown',
    );
    report(cluster.namespace, 'sqs', { state: 'Closed' }, 'HalfOpen');
    clock.advance(9000);
    const over = await keep();
    expect(over.status?.circuit).to.deep.equal({ state: 'Closed' });
    expect(over.status?.conditions?.find(({ type }) => type === 'Available')?.status).to.equal('True');
    expect(told).to.deep.equal(['Warning CircuitOpened', 'Normal CircuitClosed']);
    expect(await registry.metrics()).to.match(/circuit_openings_total\{namespace="[^"]+",participant="sqs"\} 2/);
  });

  it('does not hide that another has one open for longer', async () => {
    report(cluster.namespace, 'sqs', open(20), 'Closed');
    await eventually(
      async () => (await current()).status?.circuit?.until === at(20),
      () => 'the longer one is shown',
    );
    report(cluster.namespace, 'sqs', open(10), 'Closed');
    report(cluster.namespace, 'sqs', open(25), 'Closed');
    await eventually(
      async () => (await current()).status?.circuit?.until === at(25),
      () => 'a longer one still is',
    );
  });
});
