import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import { type OrderSagaRun, RUN_BYTES } from './ordersagarun.ts';
import { create, type Draft, installApi, messageOf, patch, runDraft } from './testing.ts';

const AT = '2026-11-22T12:00:00.000Z';
const text = (length: number): string => 'x'.repeat(length);
const name = (length: number): string => 'A'.padEnd(length, 'x');

/** 100 lines, with all that the limits let their SKUs and amounts have together. */
function longestOrder(orderId: string): Draft {
  const lines = Array.from({ length: 100 }, () => ({ sku: name(16), quantity: 1_000_000, unitPrice: 90_000_000 }));
  const shipTo = {
    name: text(64),
    line1: text(64),
    line2: text(64),
    city: text(64),
    region: text(32),
    postcode: text(16),
    country: 'GB',
  };
  const input = { customer: text(64), currency: 'GBP', paymentToken: text(64), lines, shipTo };
  const saga = 's'.repeat(40);
  const run = runDraft(orderId, { sagaRef: { name: saga }, input });
  return { ...run, metadata: { ...run.metadata, name: `${saga}-${orderId}`, ...{ finalizers: ['mercato.dev/run'] } } };
}

/**
 * The fullest status that the engine writes for `checkout`: a run that compensates by decision, held again at a compensation. A step that
 * succeeded has no error, so there are two at most.
 */
function fullestStatus(): NonNullable<OrderSagaRun['status']> {
  const error = { reason: name(32), message: text(256) };
  const done = { epoch: 3, attempts: 12, startedAt: AT, finishedAt: AT };
  const undone = { state: 'Succeeded' as const, epoch: 3, attempts: 12 };
  const output = { reservationId: text(48), expiresAt: AT };
  const condition = (type: string, message: string) => ({
    type,
    status: 'False' as const,
    observedGeneration: 12,
    lastTransitionTime: AT,
    reason: name(24),
    message,
  });
  return {
    observedGeneration: 12,
    phase: 'Compensating',
    revision: text(20),
    step: 'authorise-payment',
    steps: [
      { name: 'reserve-stock', state: 'Succeeded', ...done, output, compensation: { ...undone, state: 'Pending' } },
      {
        name: 'authorise-payment',
        state: 'Succeeded',
        ...done,
        output,
        compensation: { ...undone, state: 'InFlight', lastError: error },
      },
      { name: 'commit-stock', state: 'Succeeded', ...done, output: { warehouses: text(80) }, compensation: undone },
      {
        name: 'book-shipment',
        state: 'Succeeded',
        ...done,
        output: { bookingId: text(40), carrier: text(20) },
        compensation: undone,
      },
      { name: 'capture-payment', state: 'Failed', ...done, lastError: error },
    ],
    holdId: text(24),
    holdReason: name(24),
    observedDecision: { holdId: text(24), do: 'Compensate', outcome: 'Accepted', message: text(256) },
    nextAction: text(256),
    startedAt: AT,
    finishedAt: AT,
    journal: text(1300),
    checksum: text(39),
    conditions: [
      condition('Succeeded', text(96)),
      condition('Held', text(256)),
      condition('DecisionAccepted', text(256)),
      condition('Paused', text(96)),
      condition('Overdue', text(96)),
    ],
  };
}

describe('the size of a run', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let namespace: string;

  before(async () => {
    plane = await sharedControlPlane();
    await installApi(plane);
    namespace = await uniqueNamespace(plane, 'runsize');
  });

  it('stays below 16 KiB for the longest order with the fullest status, as the API server gives it', async () => {
    const run = longestOrder('o'.repeat(40));
    const created = await create(plane.request, namespace, run);
    expect(created.status, messageOf(created)).to.equal(201);
    const decision = { holdId: text(24), do: 'Compensate', step: 'authorise-payment', reason: text(256), by: 'admin' };
    const decided = await patch(plane.request, namespace, run, { spec: { decision } });
    expect(decided.status, messageOf(decided)).to.equal(200);
    const written = await patch(plane.request, namespace, run, { status: fullestStatus() }, '/status');
    expect(written.status, messageOf(written)).to.equal(200);
    expect((written.body as OrderSagaRun).status).to.deep.equal(fullestStatus());
    expect(Buffer.byteLength(JSON.stringify(written.body))).to.be.below(RUN_BYTES);
  });
});
