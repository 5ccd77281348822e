import type { Brand } from '@mercato/kit';
import { type Static, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';

/** An amount in minor units of its currency: an integer up to 2^53-1. */
export type MinorUnits = Brand<number, 'MinorUnits'>;

/** What the SKUs of an order may take together, as for OrderSagaRun: a run must stay below 16 KiB. */
export const SKU_CHARACTERS = 1600;
const LARGEST = Number.MAX_SAFE_INTEGER;

const Line = Type.Object(
  {
    sku: Type.String({ minLength: 1, maxLength: 32, pattern: '^[A-Za-z0-9][A-Za-z0-9 ._-]*$' }),
    quantity: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
    unitPrice: Type.Integer({ minimum: 0, maximum: 1_000_000_000_000, description: 'Minor units of the currency' }),
  },
  { additionalProperties: false },
);

const place = (maxLength: number) => Type.Optional(Type.String({ maxLength }));

const ShipTo = Type.Object(
  {
    name: place(64),
    line1: place(64),
    line2: place(64),
    city: place(64),
    region: place(32),
    postcode: place(16),
    country: Type.String({ minLength: 2, maxLength: 2, pattern: '^[A-Z]{2}$', description: 'ISO 3166-1 alpha-2' }),
  },
  { additionalProperties: false },
);

const terms = {
  customer: Type.String({ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9][A-Za-z0-9._:@-]*$' }),
  currency: Type.String({ minLength: 3, maxLength: 3, pattern: '^[A-Z]{3}$', description: 'ISO 4217' }),
  lines: Type.Array(Line, { minItems: 1, maxItems: 100 }),
  shipTo: ShipTo,
};

/** What was ordered, by whom, for where. It never changes. */
export const Terms = Type.Object(terms, { additionalProperties: false });
export type Terms = Static<typeof Terms>;

/**
 * What an order is placed with: limits are those of OrderSagaRun's input, so that nothing is accepted which no run can be made of
 * (test/order-limits.test.ts). Unknown members are refused: they would be lost.
 */
export const OrderRequest = Type.Object(
  {
    ...terms,
    paymentToken: Type.String({
      minLength: 1,
      maxLength: 64,
      pattern: '^[A-Za-z0-9][A-Za-z0-9._:-]*$',
      description: "The card vault's token. Never a card number.",
    }),
  },
  { additionalProperties: false },
);
export type OrderRequest = Static<typeof OrderRequest>;

const check = TypeCompiler.Compile(OrderRequest);

/** As OrderSagaRun has it. */
export const CARD_NUMBER = '^[ -]*([0-9][ -]*){12,19}$';
const cardNumber = new RegExp(CARD_NUMBER);

/** A request that is well-formed, or what is wrong with it, without any value of it: one may be a card number. */
export type Read =
  | { readonly ok: true; readonly request: OrderRequest }
  | { readonly ok: false; readonly detail: string };

/** Reads a request's body. */
export function readRequest(body: unknown): Read {
  const token = (body as { paymentToken?: unknown } | null)?.paymentToken;
  if (typeof token === 'string' && cardNumber.test(token)) {
    const detail =
      'paymentToken looks like a card number: send the card to the vault and put the token that it gives here';
    return { ok: false, detail };
  }
  if (check.Check(body)) return { ok: true, request: body };
  const errors: string[] = [];
  for (const { path, message } of check.Errors(body)) {
    errors.push(`${path || '/'}: ${message}`);
    if (errors.length === 5) break;
  }
  return { ok: false, detail: `the order is wrong: ${errors.join('; ')}` };
}

/** Why a well-formed order is not taken. Final: the same request is always answered so. */
export interface OrderRefusal {
  readonly reason: 'TotalTooLarge' | 'SkusTooLong' | 'CurrencyNotTaken';
  readonly detail: string;
}

/**
 * What an order comes to, in minor units, or why it is not taken.
 * @param currencies those that orders are taken in; undefined: any
 */
export function totalOf(
  { currency, lines }: Pick<OrderRequest, 'currency' | 'lines'>,
  currencies?: ReadonlySet<string>,
): { readonly total: MinorUnits } | OrderRefusal {
  if (currencies !== undefined && !currencies.has(currency)) {
    const detail = `orders are taken in ${[...currencies].join(', ')}, not in ${currency}`;
    return { reason: 'CurrencyNotTaken', detail };
  }
  let characters = 0;
  let total = 0;
  for (const { sku, quantity, unitPrice } of lines) {
    characters += sku.length;
    // Rounding keeps order, and 2^53-1 is exact: what is above it stays above.
    total += quantity * unitPrice;
    if (total > LARGEST)
      return { reason: 'TotalTooLarge', detail: 'the total exceeds 2^53-1 minor units: split the order' };
  }
  if (characters > SKU_CHARACTERS) {
    const detail = `the SKUs of an order may have ${SKU_CHARACTERS} characters together, these have ${characters}: split the order`;
    return { reason: 'SkusTooLong', detail };
  }
  return { total: total as MinorUnits };
}
