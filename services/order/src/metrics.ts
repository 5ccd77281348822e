import { Counter, Gauge, type ServiceMetrics } from '@mercato/kit';

import type { Admission } from './admission/admission.ts';
import type { Streams } from './api/streams.ts';
import { type OrderState, openStates, orderStates } from './domain/states.ts';
import type { Orders } from './ports/orders.ts';

/** The metrics of orders, beside those that every service has. */
export class OrderMetrics {
  readonly #moves: Counter<'to'>;

  constructor(
    { registry }: ServiceMetrics,
    orders: Pick<Orders, 'open'>,
    admission: Admission,
    streams: Pick<Streams, 'count'>,
  ) {
    const registers = [registry];
    this.#moves = new Counter({
      name: 'mercato_order_transitions_total',
      help: 'Orders that came into a state',
      labelNames: ['to'],
      registers,
    });
    // Series exist from the start, so that an increase to the first is not lost.
    for (const to of orderStates) this.#moves.inc({ to }, 0);
    new Gauge({
      name: 'mercato_orders_open',
      help: 'Orders that are not over',
      labelNames: ['state'],
      registers,
      async collect() {
        const counts = await orders.open();
        for (const state of openStates) this.set({ state }, counts.get(state) ?? 0);
      },
    });
    new Gauge({
      name: 'mercato_order_admission_limit',
      help: 'Orders that may be placed at once; below its highest while they wait too long for their commit',
      registers,
      collect() {
        this.set(admission.limit);
      },
    });
    new Gauge({
      name: 'mercato_order_streams',
      help: 'Streams of events that are open',
      registers,
      collect() {
        this.set(streams.count);
      },
    });
  }

  /** An order came into a state. */
  moved(to: OrderState): void {
    this.#moves.inc({ to });
  }
}
