import type { Journal } from '@mercato/operator/journals/journal.ts';
import { Runner } from '@mercato/operator/runner/runner.ts';
import { systemClock } from '@mercato/operator/runtime/clock.ts';
import { revisionOf } from '@mercato/operator/saga/revision.ts';
import type { StepDefinition } from '@mercato/operator/saga/types.ts';
import type { Figure } from './figures.ts';

const RUNS = 40_000;
const IN_FLIGHT = 500;

/**
 * What deciding costs by itself: runs through engine and runner on one core, with participants that answer in the same process and a journal that
 * writes nothing. A reconcile is one event that the engine decides about.
 */
export async function reconciles(): Promise<Figure[]> {
  const retry = { maxAttempts: 5, initialInterval: 200, maxInterval: 30_000, backoffPercent: 200, jitterPercent: 20 };
  const step = (name: string, uses: string[], pivot = false): StepDefinition => {
    const undo = pivot ? {} : { compensation: `undo-${name}` };
    return { name, participant: 'noop', command: name, timeout: 1_000, retry, uses, pivot, ...undo };
  };
  const steps = [
    step('reserve-stock', ['input.lines', 'input.shipTo']),
    step('authorise-payment', ['input.total', 'input.currency', 'input.paymentToken']),
    step('commit-stock', ['reserve-stock.id']),
    step('book-shipment', ['input.shipTo', 'commit-stock.id']),
    step('capture-payment', ['authorise-payment.id'], true),
  ];
  const revision = revisionOf({ steps, deadline: 900_000, onStepFailure: 'Compensate' });
  let events = 0;
  let ended = 0;
  let wake = (): void => undefined;
  const runner = new Runner({
    journal: silentJournal(),
    participants: { send: async () => ({ type: 'Success', output: { id: 'x' } }) },
    clock: systemClock,
    observer: {
      transitioned: () => {
        events++;
      },
      ended: () => {
        ended++;
        wake();
      },
    },
  });
  const input = {
    customer: 'ada',
    currency: 'GBP',
    lines: [1, 2, 3].map((n) => ({ sku: `SKU-${n}`, quantity: n, unitPrice: 100 })),
    paymentToken: 'tok_visa',
    shipTo: { country: 'GB' },
  };
  const play = async (from: number, count: number): Promise<void> => {
    const until = ended + count;
    let begun = 0;
    while (ended < until) {
      while (begun < count && runner.size < IN_FLIGHT) {
        const id = { namespace: 'default', saga: 'checkout', orderId: `o-${from + begun++}` };
        void runner.adopt({ context: { id, input }, revision, version: '1', from: { type: 'New' } });
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  await play(0, RUNS / 10);
  events = 0;
  const before = process.cpuUsage();
  await play(RUNS, RUNS);
  const { user, system } = process.cpuUsage(before);
  const cpuSeconds = (user + system) / 1e6;
  return [
    { name: 'reconciles per second and core, nothing written', value: events / cpuSeconds, unit: '1/s' },
    { name: 'whole runs of five steps per second and core, nothing written', value: RUNS / cpuSeconds, unit: '1/s' },
  ];
}

function silentJournal(): Journal {
  let version = 1;
  return {
    read: async () => undefined,
    write: async () => String(++version),
    saveRevision: async () => undefined,
    loadRevision: async () => undefined,
    recordException: async () => undefined,
  };
}
