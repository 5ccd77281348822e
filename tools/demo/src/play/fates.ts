import type { OrderId } from '@mercato/operator/api/names.ts';
import { unitHash, weighted } from './random.ts';

/** What befalls an order at the simulated companies: asked for by its payment token and its address (see their scripts). */
export interface Fate {
  /** In a thousand orders. */
  readonly weight: number;
  readonly token: string;
  /** Goes into the address line. */
  readonly address?: string;
}

/** Most orders meet nothing; of the rest, each way to fail that a shop sees is there. */
const FATES: readonly Fate[] = [
  { weight: 570, token: 'tok_visa' },
  // The carrier is at the door: the goods leave the stock while the rest of the shop's wait for it.
  { weight: 30, token: 'tok_visa', address: 'sim:quick_pickup' },
  { weight: 281, token: 'tok_mastercard' },
  // The customer's own trouble: the run compensates.
  { weight: 30, token: 'tok_declined' },
  { weight: 10, token: 'tok_insufficient_funds' },
  { weight: 3, token: 'tok_unknown' },
  { weight: 10, token: 'tok_capture_declined' },
  { weight: 12, token: 'tok_visa', address: 'sim:undeliverable' },
  // The companies' trouble: the step is repeated under its key, and nothing happens twice.
  { weight: 8, token: 'tok_timeout' },
  { weight: 8, token: 'tok_late' },
  { weight: 8, token: 'tok_double' },
  { weight: 8, token: 'tok_error_after' },
  { weight: 4, token: 'tok_capture_timeout' },
  { weight: 8, token: 'tok_visa', address: 'sim:slow' },
  { weight: 4, token: 'tok_visa', address: 'sim:error_after' },
  { weight: 3, token: 'tok_visa', address: 'sim:timeout' },
  // Picked up before the capture is declined: it cannot be undone, so the run is held for a person.
  { weight: 3, token: 'tok_capture_declined', address: 'sim:quick_pickup' },
];

/** The fate of an order: a function of seed and order id, so that the same play has the same ends. Each order has a token of its own. */
export function fateOf(seed: string, orderId: OrderId): Fate {
  const fate = weighted(FATES, unitHash(`${seed}\nfate\n${orderId}`));
  return { ...fate, token: `${fate.token}-${orderId}` };
}
