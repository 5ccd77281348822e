import { type TSchema, Type } from '@sinclair/typebox';
import type { CommandKey } from '../key.ts';
import { recordsOfOrder } from '../participant/record.ts';
import { ProblemError } from '../problem.ts';
import type { Reader, Store } from '../store/port.ts';
import { type Route, route } from './route.ts';

/** Rows of a participant, for people and for the conservation check. */
export interface Listing<Row> {
  /** Opened with `recordMigrations`. */
  readonly store: Store;
  /** Where all of them are, as `/bookings`. */
  readonly path: string;
  /** What the rows are called in the answer for an order, as `bookings`. */
  readonly name: string;
  /** What one looks like to those who ask. */
  readonly item: TSchema;
  view(row: Row): unknown;
  /** Rows after a position, oldest first, and the position to go on from. */
  from(reader: Reader, cursor: number, limit: number): { readonly rows: readonly Row[]; readonly next: number };
  ofOrder(reader: Reader, order: Pick<CommandKey, 'namespace' | 'saga' | 'orderId'>): readonly Row[];
}

/**
 * What every participant with rows of its own lets people ask: `GET {path}?cursor=&limit=` for all of them, and
 * `GET /orders/{namespace}/{saga}/{orderId}` for those of one order, with what is remembered of its steps. 404 OrderUnknown where there is neither.
 */
export function listingRoutes<Row>({ store, path, name, item, view, from, ofOrder }: Listing<Row>): Route[] {
  return [
    route({
      method: 'get',
      path,
      summary: `All ${name}, oldest first`,
      query: Type.Object({
        cursor: Type.Optional(Type.Integer({ minimum: 0 })),
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
      }),
      response: Type.Object({ items: Type.Array(item), next: Type.Integer() }),
      handle: async ({ query }) => {
        const { rows, next } = await store.read((reader) => from(reader, query.cursor ?? 0, query.limit ?? 100));
        return { items: rows.map(view), next };
      },
    }),
    route({
      method: 'get',
      path: '/orders/{namespace}/{saga}/{orderId}',
      summary: `One order: its ${name}, and what is remembered of its steps`,
      response: Type.Object({ [name]: Type.Array(item), steps: Type.Array(Type.Unknown()) }),
      handle: async ({ params }) => {
        const { namespace = '', saga = '', orderId = '' } = params;
        const order = { namespace, saga, orderId };
        const [rows, steps] = await store.read((reader) => [ofOrder(reader, order), recordsOfOrder(reader, order)]);
        if (rows.length + steps.length === 0)
          throw new ProblemError(404, 'OrderUnknown', `nothing is known of ${namespace}/${saga}/${orderId}`);
        return { [name]: rows.map(view), steps };
      },
    }),
  ];
}
