import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { announcerMetrics } from '../announce/metrics.ts';
import { intakeMetrics } from '../intake/metrics.ts';
import { sqsIntakeMetrics } from '../intake/sqs-metrics.ts';
import { Store } from '../kube/store.ts';
import { ParticipantRegistry } from '../participants/registry.ts';
import { FrameworkMetrics } from '../runtime/metrics.ts';
import { shardMetrics } from '../sharding/metrics.ts';
import { workerMetrics } from '../worker/metrics.ts';
import { runMetrics } from './ordersagarun/metrics.ts';
import { standingMetrics } from './ordersagarun/standing.ts';
import { participantMetrics } from './participant/metrics.ts';
import { viewMetrics } from './view/metrics.ts';

describe('metrics', () => {
  it('are all in the reference, and the reference names no other of the operator', async () => {
    const { registry } = new FrameworkMetrics();
    runMetrics(
      registry,
      () => 0,
      () => 0,
    );
    standingMetrics(registry, new Store(), () => 0);
    shardMetrics(registry, { open: 0, unheld: 0 });
    sqsIntakeMetrics(registry, () => 0);
    participantMetrics(registry, () => new ParticipantRegistry({ tokens: async () => '' }).circuits());
    workerMetrics(registry, { inWork: () => 0, workers: () => 0, resting: () => 0, waiting: () => ({}) });
    viewMetrics(registry);
    intakeMetrics(registry);
    announcerMetrics(registry).watch(() => []);
    const registered = registry.getMetricsAsArray().map(({ name }) => name);
    const page = await readFile(new URL('../../../docs/reference/metrics.md', import.meta.url), 'utf8');
    const written = new Set([...page.matchAll(/`([a-z]+_[a-z_]+)`/g)].map((match) => match[1]));
    expect(registered.filter((name) => !written.has(name))).to.deep.equal([]);
    const ours = [...written].filter((name) =>
      /^(mercato_saga|mercato_run|mercato_journal|mercato_participant|mercato_worker|mercato_view|mercato_intake|mercato_announcements|workqueue|controller_runtime|rest_client)/.test(
        name ?? '',
      ),
    );
    expect(ours.filter((name) => !registered.includes(name ?? ''))).to.deep.equal([]);
  });
});
