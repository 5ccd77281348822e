import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import { VirtualClock } from '../runtime/clock.ts';
import type { KubeClient } from './client.ts';
import { TransportError } from './errors.ts';
import { type EventDrop, type EventInput, EventRecorder, type EventRecorderOptions } from './events.ts';
import { configMaps, events } from './resource.ts';
import { clientOf, eventually } from './testing.ts';
import type { ConfigMap } from './types.ts';

const failed: EventInput = { type: 'Warning', reason: 'StepFailed', action: 'Charge', note: 'the card was declined' };

describe('EventRecorder', function () {
  this.timeout(60_000);
  let plane: ControlPlane;
  let client: KubeClient;
  let namespace: string;
  let regarding: ConfigMap;
  let sent: number;
  let drops: EventDrop[];
  const recorders: EventRecorder[] = [];

  before(async () => {
    plane = await sharedControlPlane();
    client = await clientOf(plane);
  });

  after(() => client?.transport.close());

  beforeEach(async () => {
    namespace = await uniqueNamespace(plane, 'events');
    regarding = await client.create(configMaps, { metadata: { name: 'order', namespace } });
    sent = 0;
    drops = [];
  });

  afterEach(async () => {
    for (const recorder of recorders.splice(0)) await recorder.stop();
  });

  function recorder(options: Partial<EventRecorderOptions> = {}): EventRecorder {
    const made = new EventRecorder({
      client,
      reportingController: 'mercato.dev/test',
      reportingInstance: 'test-0',
      observer: { eventSent: () => (sent += 1), eventDropped: (why) => void drops.push(why) },
      ...options,
    });
    recorders.push(made);
    return made;
  }

  const stored = async () => (await client.list(events, { namespace })).items;

  it('stores an event that kubectl describe shows', async () => {
    recorder().event(regarding, failed);
    const [event] = await eventually('it is stored', async () => {
      const all = await stored();
      return all.length > 0 ? all : undefined;
    });
    expect(event).to.deep.include({
      type: 'Warning',
      reason: 'StepFailed',
      action: 'Charge',
      note: 'the card was declined',
    });
    expect(event?.regarding).to.deep.include({ kind: 'ConfigMap', name: 'order', uid: regarding.metadata.uid });
    expect(event?.eventTime).to.match(/\.\d{6}Z$/);
    expect(await plane.kubectl(['describe', 'configmap', 'order', '-n', namespace])).to.include(
      'the card was declined',
    );
  });

  it('counts the same event up instead of storing it again, and writes the count seldom', async () => {
    const clock = new VirtualClock({ epoch: Date.now() });
    const repeated = recorder({ clock, seriesFlushMs: 10_000 });
    for (let i = 0; i < 50; i++) repeated.event(regarding, failed);
    await eventually('the first is stored', () => sent === 1);
    repeated.event(regarding, failed);
    clock.advance(10_000);
    await eventually('the count is written', () => sent === 2);
    const all = await stored();
    expect(all).to.have.length(1);
    expect(all[0]?.series?.count).to.equal(51);
    expect(all[0]?.series?.lastObservedTime).to.match(/\.\d{6}Z$/);
    expect(drops).to.deep.equal([]);
  });

  it('keeps different notes and different objects apart', async () => {
    const other = await client.create(configMaps, { metadata: { name: 'other', namespace } });
    const many = recorder();
    many.event(regarding, failed);
    many.event(regarding, { ...failed, note: 'the card has expired' });
    many.event(other, failed);
    await eventually('all are stored', () => sent === 3);
    expect(await stored()).to.have.length(3);
  });

  it('begins a new series when the last occurrence is long ago, and when its object is gone', async () => {
    const clock = new VirtualClock({ epoch: Date.now() });
    const series = recorder({ clock, seriesMs: 60_000, seriesFlushMs: 1000 });
    series.event(regarding, failed);
    await eventually('the first is stored', () => sent === 1);
    clock.advance(60_001);
    series.event(regarding, failed);
    await eventually('the second is stored', () => sent === 2);
    expect(await stored()).to.have.length(2);

    await client.deleteCollection(events, { namespace });
    series.event(regarding, failed);
    clock.advance(1000);
    await eventually('it is stored anew', () => sent === 3);
    expect(await stored()).to.have.length(1);
  });

  it('limits what is told about one object, not about others', async () => {
    const clock = new VirtualClock({ epoch: Date.now() });
    const limited = recorder({ clock, burst: 3, refillMs: 1000 });
    for (let i = 0; i < 5; i++) limited.event(regarding, { ...failed, note: `attempt ${i}` });
    const other = await client.create(configMaps, { metadata: { name: 'other', namespace } });
    limited.event(other, failed);
    await eventually('what is allowed is stored', () => sent === 4);
    expect(drops).to.deep.equal(['rate-limited', 'rate-limited']);
    clock.advance(1000);
    limited.event(regarding, { ...failed, note: 'after a while' });
    await eventually('a token has grown back', () => sent === 5);
  });

  it('drops and counts what does not fit into its queue, and what the API server refuses', async () => {
    const small = recorder({ maxQueue: 2 });
    for (let i = 0; i < 5; i++) small.event(regarding, { ...failed, note: `note ${i}` });
    expect(drops).to.deep.equal(['queue-full', 'queue-full', 'queue-full']);
    await eventually('the others are stored', () => sent === 2);
    small.event({ ...regarding, metadata: { name: 'x', namespace: 'no-such-namespace' } }, failed);
    await eventually('it is refused', () => drops.at(-1) === 'refused');
  });

  it('takes an event for stored whose answer was lost, and counts it on', async () => {
    const clock = new VirtualClock({ epoch: Date.now() });
    let isLost = false;
    const losing: Pick<KubeClient, 'create' | 'patch'> = {
      async create(...args) {
        const made = await client.create(...args);
        if (isLost) return made;
        isLost = true;
        throw new TransportError({ method: 'POST', path: '/events' }, 'timeout', 'the test lost the answer');
      },
      patch: (...args) => client.patch(...args),
    };
    const unlucky = recorder({ client: losing as KubeClient, clock });
    unlucky.event(regarding, failed);
    await eventually('it is tried again after a pause', () => isLost && clock.pending === 1);
    clock.advance(2_000);
    await eventually('it is known to be stored', () => sent === 1);
    unlucky.event(regarding, failed);
    clock.advance(10_000);
    await eventually('its count is written', () => sent === 2);
    expect((await stored()).map(({ series }) => series?.count)).to.deep.equal([2]);
    expect(drops).to.deep.equal([]);
  });

  it('never throws into its caller, whatever it gets', async () => {
    const robust = recorder();
    robust.event(undefined as unknown as ConfigMap, failed);
    robust.event(regarding, { ...failed, note: 'ü'.repeat(2000), reason: 'R'.repeat(300) });
    await eventually('the long one is cut and stored', () => sent === 1);
    expect(drops).to.deep.equal(['failed']);
    const [event] = await stored();
    expect(Buffer.byteLength(event?.note ?? '')).to.be.within(1000, 1024);
    expect(event?.note).to.match(/ü\.\.\.$/);
  });

  it('sends counts that wait when it stops, and accepts nothing after', async () => {
    // It waits for what is under way for as long as its clock says.
    const stopping = recorder({ clock: new VirtualClock({ epoch: Date.now() }) });
    stopping.event(regarding, failed);
    await eventually('the first is stored', () => sent === 1);
    stopping.event(regarding, failed);
    await stopping.stop();
    expect((await stored())[0]?.series?.count).to.equal(2);
    stopping.event(regarding, failed);
    expect(drops).to.deep.equal(['stopped']);
  });
});
