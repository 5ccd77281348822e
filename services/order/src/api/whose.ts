import { ProblemError } from '@mercato/kit';
import { Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import type { Order } from '../domain/order.ts';
import { Terms } from '../domain/terms.ts';

/** Whose order it must be: a caller that acts for a customer says so, and need not compare by itself. */
export const OfCustomer = Type.Object(
  { customer: Type.Optional(Terms.properties.customer) },
  { additionalProperties: false },
);

const check = TypeCompiler.Compile(OfCustomer);

/** The customer that a raw request names in its query. @throws ProblemError 400 */
export function customerOf(url: string): string | undefined {
  const at = url.indexOf('?');
  if (at < 0) return undefined;
  const entries = [...new URLSearchParams(url.slice(at + 1))];
  const query = Object.fromEntries(entries);
  if (check.Check(query) && Object.keys(query).length === entries.length) return query.customer;
  throw new ProblemError(400, 'BadRequest', 'the query may have customer, once, and nothing else');
}

/** Whether the order is one that who asks may see. Another's is as one that does not exist: its id must tell nothing. @param customer undefined: whose it is, is no matter */
export const isOf = (order: Order, customer: string | undefined): boolean =>
  customer === undefined || order.terms.customer === customer;
