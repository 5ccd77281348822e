import type { Goods } from '../inventory/port.ts';
import { sha256 } from '../saga/canonical.ts';
import type { Delivery, Placed, PlacedOrder, Progress, Supplier, SupplyOrder } from './supplier.ts';

/** How many deliveries a supplier that sends parts makes. */
const PARTS = 3;

/** How a simulated supplier behaves. */
export interface Conduct {
  /** Sends the goods in parts. */
  readonly parts: boolean;
  /** Takes half as long again as it said. */
  readonly late: boolean;
  /** Sends a tenth less of each line, rounded up, but never nothing. */
  readonly short: boolean;
  /** Sends a twentieth more of each line, rounded up. */
  readonly over: boolean;
}

/** What a supplier's name says of its conduct: the words `parts`, `late`, `short` and `over` in it, as in `potteries-late-parts`. */
export function conductOf(supplier: string): Conduct {
  const words = supplier.split('-');
  const says = (word: string): boolean => words.includes(word);
  return { parts: says('parts'), late: says('late'), short: says('short'), over: says('over') };
}

/** When a simulated supplier does what; on the wall clock. */
export interface Schedule {
  readonly shipsAt: number;
  readonly expectedAt: number;
  readonly deliveries: readonly (Delivery & { readonly at: number })[];
}

/**
 * All that a simulated supplier will do for an order. It has no memory: what it does follows from the order alone, so that it goes on as before
 * when the operator, in which it lives, is started again. Goods leave after a quarter of the lead time, and arrive at its end; parts arrive from
 * its middle on, evenly.
 */
export function schedule(order: SupplyOrder, orderedAt: number): Schedule {
  const conduct = conductOf(order.supplier);
  const lead = order.leadTime;
  const actual = conduct.late ? lead * 1.5 : lead;
  const lines = order.lines.map(({ sku, quantity }) => ({ sku, quantity: sentOf(quantity, conduct) }));
  const parts = conduct.parts ? split(order.orderId, lines, PARTS) : [lines];
  return {
    shipsAt: orderedAt + Math.round(actual / 4),
    expectedAt: orderedAt + lead,
    deliveries: parts
      .filter((part) => part.length > 0)
      .map((part, index, { length }) => ({
        number: index + 1,
        lines: part,
        at: orderedAt + Math.round((actual * (length + index + 1)) / (2 * length)),
      })),
  };
}

function sentOf(quantity: number, { short, over }: Conduct): number {
  const less = short ? Math.min(quantity - 1, Math.ceil(quantity / 10)) : 0;
  const more = over ? Math.ceil(quantity / 20) : 0;
  return quantity - less + more;
}

/** The lines in so many parts that add up to them; a part has no line of nothing. Which part gets what cannot be shared follows from the order's id. */
function split(orderId: string, lines: readonly Goods[], count: number): Goods[][] {
  return Array.from({ length: count }, (_, part) =>
    lines.flatMap(({ sku, quantity }) => {
      const odd = (part + Number.parseInt(sha256(`${orderId}/${sku}`).slice(0, 8), 16)) % count < quantity % count;
      const share = Math.floor(quantity / count) + (odd ? 1 : 0);
      return share === 0 ? [] : [{ sku, quantity: share }];
    }),
  );
}

/** A supplier that exists only here, for the demo, for tests and for trying things out. It carries no goods. */
export class SimulatedSupplier implements Supplier {
  readonly name = 'simulator';

  place(order: SupplyOrder, now: number): Promise<Placed> {
    const reference = `SIM-${sha256(order.orderId).slice(0, 10).toUpperCase()}`;
    return Promise.resolve({ reference, expectedAt: schedule(order, now).expectedAt });
  }

  progress(order: PlacedOrder, now: number): Promise<Progress> {
    const { shipsAt, deliveries } = schedule(order, order.orderedAt);
    const arrived = deliveries.filter(({ at }) => at <= now);
    const nextAt = [shipsAt, ...deliveries.map(({ at }) => at)].find((at) => at > now);
    return Promise.resolve({
      shipped: shipsAt <= now,
      deliveries: arrived.map(({ number, lines }) => ({ number, lines })),
      complete: arrived.length === deliveries.length,
      ...(nextAt === undefined ? {} : { nextAt }),
    });
  }

  cancel(order: PlacedOrder, now: number): Promise<boolean> {
    return Promise.resolve(now < schedule(order, order.orderedAt).shipsAt);
  }
}
