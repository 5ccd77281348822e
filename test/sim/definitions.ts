import { revisionOf } from '@mercato/operator/saga/revision.ts';
import type { Output, RetryPolicy, Revision, RunInput, StepDefinition } from '@mercato/operator/saga/types.ts';
import type { Random } from './random.ts';

/** What is played: the shop's saga in two orders of its steps, and what customers ask for. */

export const NAMESPACE = 'shop';
export const SAGA = 'checkout';

const UNDO: Readonly<Record<string, string>> = {
  'reserve-stock': 'release-stock',
  'authorise-payment': 'void-payment',
  'commit-stock': 'release-stock',
  'book-shipment': 'cancel-shipment',
};

const PARTICIPANT: Readonly<Record<string, string>> = {
  'reserve-stock': 'inventory',
  'authorise-payment': 'payment',
  'commit-stock': 'inventory',
  'book-shipment': 'shipping',
  'capture-payment': 'payment',
};

const USES: Readonly<Record<string, readonly string[]>> = {
  'reserve-stock': ['input.lines', 'input.shipTo'],
  'authorise-payment': ['input.total', 'input.currency', 'input.paymentToken', 'input.customer'],
  'commit-stock': ['reserve-stock.reservationId'],
  'book-shipment': ['input.shipTo', 'input.lines', 'commit-stock.warehouses'],
  'capture-payment': ['authorise-payment.authorisationId', 'input.total', 'input.currency'],
};

/** The pivot last, as in examples/; and the pivot before the shipment, so that something comes after it. */
const ORDERS = [
  ['reserve-stock', 'authorise-payment', 'commit-stock', 'book-shipment', 'capture-payment'],
  ['reserve-stock', 'authorise-payment', 'commit-stock', 'capture-payment', 'book-shipment'],
] as const;

/** Draws a definition. `order`: the order of its steps, by number. */
export function drawRevision(random: Random, order: number): Revision {
  const names = ORDERS[order % ORDERS.length] ?? ORDERS[0];
  const pivot = names.indexOf('capture-payment');
  const maxAttempts = random.pick([2, 3, 5]);
  const steps = names.map((name, index): StepDefinition => {
    const retry: RetryPolicy = {
      maxAttempts: index >= pivot ? maxAttempts * 2 : maxAttempts,
      initialInterval: random.pick([100, 400]),
      maxInterval: 3000,
      backoffPercent: 200,
      jitterPercent: 20,
    };
    const undo = index < pivot ? UNDO[name] : undefined;
    return {
      name,
      participant: PARTICIPANT[name] ?? '',
      command: name,
      ...(undo === undefined ? {} : { compensation: undo }),
      timeout: random.pick([1500, 3000, 5000]),
      retry,
      uses: USES[name] ?? [],
      pivot: index === pivot,
    };
  });
  return revisionOf({
    steps,
    deadline: random.pick([6_000, 20_000, 900_000]),
    onStepFailure: random.pick(['Compensate', 'Hold', 'Hold']),
  });
}

export const CATALOGUE = ['MUG', 'LAMP', 'RUG'] as const;

/** What the payment token asks of the acquirer, and the address of the carrier; plain ones ask for nothing. */
const TOKENS = [
  'tok_visa',
  'tok_visa',
  'tok_visa',
  'tok_visa',
  'tok_visa',
  'tok_visa',
  'tok_declined',
  'tok_insufficient_funds',
  'tok_timeout',
  'tok_ghost',
  'tok_double',
  'tok_short_hold',
  'tok_capture_declined',
  'tok_capture_timeout',
  'tok_void_timeout',
  'tok_void_error_once',
];
const STREETS = [
  '1 High Street',
  '1 High Street',
  '1 High Street',
  '1 High Street',
  '1 High Street',
  '1 High Street',
  'sim:undeliverable 1 High Street',
  'sim:slow 1 High Street',
  'sim:slow_undeliverable 1 High Street',
  'sim:timeout 1 High Street',
  'sim:ghost 1 High Street',
  'sim:cancel_timeout 1 High Street',
  'sim:quick_pickup 1 High Street',
];

/** A country that the carrier begins to serve when the faults end: what failed for it succeeds when it is tried anew. */
export const FAR_COUNTRY = 'AQ';

export function drawInput(random: Random, order: number): RunInput {
  const lines = Array.from({ length: random.int(1, 3) }, () => ({
    sku: random.pick(CATALOGUE),
    quantity: random.int(1, 3),
    unitPrice: random.int(1, 50) * 100,
  }));
  const country = random.chance(0.1) ? FAR_COUNTRY : random.pick(['GB', 'NL']);
  return {
    customer: `c-${order}`,
    currency: 'GBP',
    lines,
    paymentToken: `${random.pick(TOKENS)}-${order}`,
    shipTo: { name: 'A. Customer', line1: random.pick(STREETS), city: 'Leeds', postcode: 'LS1', country },
  };
}

/** What a person supplies who skips a step. */
export const BY_HAND = 'by-hand';
export const SKIPPED_OUTPUTS: Output = {
  reservationId: BY_HAND,
  authorisationId: BY_HAND,
  warehouses: BY_HAND,
  captureId: BY_HAND,
};
