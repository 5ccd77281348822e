import { instant, milliseconds, VirtualClock } from '@mercato/kit';
import type { Exchange } from '@mercato/kit/exchange.ts';
import { type AppendLog, memoryLog } from '@mercato/kit/simulator/append-log.ts';
import { inProcessExchange } from '@mercato/kit/simulator/backend.ts';
import { ParticipantBench } from '@mercato/kit/testing/participant-bench.ts';
import { simulatedCarrier } from '../adapters/simulated-carrier.ts';
import { type CarrierOptions, SimulatedCarrier } from '../carrier/backend.ts';
import type { CarrierEntry } from '../carrier/ledger.ts';
import { migrations, type ShippingService, shippingService } from '../service.ts';

/** A shipping service with a simulated carrier, both on a clock that the test moves. */
export class ShippingBench extends ParticipantBench<ShippingService> {
  /** Requests to the carrier; for its administration. */
  readonly exchange: Exchange;
  readonly #log: AppendLog<CarrierEntry>;

  constructor(options: Partial<CarrierOptions> = {}) {
    const clock = new VirtualClock(instant(Date.UTC(2026, 10, 22, 12)));
    const log = memoryLog<CarrierEntry>();
    const backend = new SimulatedCarrier({ clock, ...options });
    const exchange = inProcessExchange({ backend, log, clock });
    super(migrations, (ports) => shippingService({ ...ports, carrier: simulatedCarrier(exchange) }), clock);
    this.exchange = exchange;
    this.#log = log;
  }

  /** Lets time pass and the tracker work, once a second. */
  async trackFor(seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      this.clock.advance(milliseconds(1_000));
      await this.passing(this.service.track());
    }
  }

  /** As `book booked`, one for each entry of the carrier's log. */
  story(orderId = 'order-1'): string[] {
    return this.#entries(orderId).map((entry) => `${entry.operation} ${entry.outcome}`);
  }

  /** How many shipments of the order stand, by the carrier's log alone. */
  standing(orderId = 'order-1'): number {
    return standingOf(this.#entries(orderId));
  }

  #entries(orderId: string): readonly CarrierEntry[] {
    return this.#log.read(0, 100_000).entries.filter((entry) => entry.orderKey === `shop/checkout/${orderId}`);
  }
}

/** Bookings that a log says were made or are being decided on, and were neither rejected nor cancelled since. */
export function standingOf(entries: readonly CarrierEntry[]): number {
  const ids = new Set<string>();
  for (const { id, outcome } of entries) {
    if (id === undefined) continue;
    if (outcome === 'booked' || outcome === 'pending') ids.add(id);
    if (outcome === 'cancelled') ids.delete(id);
  }
  for (const { operation, id } of entries) if (operation === 'reject' && id !== undefined) ids.delete(id);
  return ids.size;
}
