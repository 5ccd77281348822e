import { TypeCompiler } from '@sinclair/typebox/compiler';
import { orderSagaRun } from '../api/ordersagarun.ts';
import { MAX_INTEGER } from '../api/schema.ts';
import type { Json, RunInput } from '../saga/types.ts';
import { IntakeRefused } from './intake.ts';

const schema = orderSagaRun.spec.properties.input;
const check = TypeCompiler.Compile(schema);

/** What the SKUs of an order may take together, as the kind's rule says. */
const SKU_CHARACTERS = 1600;
const SKU = /^[A-Za-z0-9][A-Za-z0-9 ._-]*$/;
const CARD_NUMBER = /^[ -]*([0-9][ -]*){12,19}$/;
const TOKEN = /^[A-Za-z0-9][A-Za-z0-9._:-]*$/;
const ADDRESS_FIELDS = Object.keys(schema.properties.shipTo.properties) as readonly string[];

/**
 * An order's input as the OrderSagaRun's schema and its rules want it, without the fields that they do not know: what comes by another way than the API
 * server is held to the same limits (input.test.ts asks a real API server about each).
 *
 * No message quotes a value: one may be a card number that strayed.
 * @throws IntakeRefused `InputInvalid` that names the field
 */
export function checkedInput(value: unknown): RunInput {
  if (!check.Check(value)) {
    const error = check.Errors(value).First();
    throw invalid(`data${(error?.path ?? '').replaceAll('/', '.')}: ${error?.message ?? 'is no order'}`);
  }
  const { customer, currency, lines, paymentToken, shipTo } = value;
  if (CARD_NUMBER.test(paymentToken))
    throw invalid('data.paymentToken looks like a card number: send the card to the vault, and its token here');
  if (!TOKEN.test(paymentToken)) throw invalid('data.paymentToken has characters that no token has');
  const kept = lines.map(({ sku, quantity, unitPrice }) => ({ sku, quantity, unitPrice }));
  checkLines(kept);
  return { customer, currency, lines: kept, paymentToken, shipTo: known(shipTo as Readonly<Record<string, Json>>) };
}

function checkLines(lines: RunInput['lines']): void {
  let characters = 0;
  let total = 0;
  for (const { sku, quantity, unitPrice } of lines) {
    if (!SKU.test(sku)) throw invalid('data.lines: a SKU has only letters, digits, spaces, dots, underscores, hyphens');
    characters += sku.length;
    total += quantity * unitPrice;
    // Each summand is below 2^60, so that a sum which is too large is never rounded below the limit.
    if (total > MAX_INTEGER) throw invalid('data.lines: the total exceeds 2^53-1 minor units: split the order');
  }
  if (characters > SKU_CHARACTERS)
    throw invalid(`data.lines: the SKUs may have ${SKU_CHARACTERS} characters together: split the order`);
}

function known(shipTo: Readonly<Record<string, Json>>): RunInput['shipTo'] {
  const address: Record<string, Json> = {};
  for (const field of ADDRESS_FIELDS) if (shipTo[field] !== undefined) address[field] = shipTo[field];
  return address;
}

function invalid(message: string): IntakeRefused {
  return new IntakeRefused('InputInvalid', message);
}
