import { instant, milliseconds, VirtualClock } from '@mercato/kit';
import type { Exchange } from '@mercato/kit/exchange.ts';
import { type AppendLog, memoryLog } from '@mercato/kit/simulator/append-log.ts';
import { inProcessExchange } from '@mercato/kit/simulator/backend.ts';
import { ParticipantBench } from '@mercato/kit/testing/participant-bench.ts';
import { type AcquirerOptions, SimulatedAcquirer } from '../acquirer/backend.ts';
import type { AcquirerEntry } from '../acquirer/ledger.ts';
import { simulatedAcquirer } from '../adapters/simulated-acquirer.ts';
import { migrations, type PaymentService, paymentService } from '../service.ts';

/** A payment service with a simulated acquirer, both on a clock that the test moves. */
export class PaymentBench extends ParticipantBench<PaymentService> {
  /** Requests to the acquirer; for its administration. */
  readonly exchange: Exchange;
  readonly #log: AppendLog<AcquirerEntry>;

  constructor(options: Partial<AcquirerOptions> = {}) {
    const clock = new VirtualClock(instant(Date.UTC(2026, 10, 22, 12)));
    const log = memoryLog<AcquirerEntry>();
    const backend = new SimulatedAcquirer({ clock, ...options });
    const exchange = inProcessExchange({ backend, log, clock });
    super(migrations, (ports) => paymentService({ ...ports, processor: simulatedAcquirer(exchange) }), clock);
    this.exchange = exchange;
    this.#log = log;
  }

  /** Lets time pass and the reconciler work, once a second. */
  async reconcileFor(seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      this.clock.advance(milliseconds(1_000));
      await this.passing(this.service.reconcile());
    }
  }

  /** The acquirer's log of one order. */
  entries(orderId = 'order-1'): readonly AcquirerEntry[] {
    return this.#log.read(0, 100_000).entries.filter((entry) => entry.orderKey === `shop/checkout/${orderId}`);
  }

  /** As `authorise approved`, one for each entry. */
  story(orderId = 'order-1'): string[] {
    return this.entries(orderId).map((entry) => `${entry.operation} ${entry.outcome}`);
  }

  /** Minor units, by the acquirer's log alone: held now, captured, refunded. */
  truth(orderId = 'order-1'): { held: number; captured: number; refunded: number } {
    return truthOf(this.entries(orderId));
  }
}

/** Sums of a log's entries: repeats and refusals move nothing. */
export function truthOf(entries: readonly AcquirerEntry[]): { held: number; captured: number; refunded: number } {
  const approved = entries.filter((entry) => entry.outcome === 'approved');
  const of = (operation: AcquirerEntry['operation']) => approved.filter((entry) => entry.operation === operation);
  const closed = new Set([...of('void'), ...of('capture')].map((entry) => entry.target));
  const sum = (list: readonly AcquirerEntry[]) => list.reduce((total, entry) => total + entry.amount, 0);
  return {
    held: sum(of('authorise').filter((entry) => !closed.has(entry.id))),
    captured: sum(of('capture')),
    refunded: sum(of('refund')),
  };
}
