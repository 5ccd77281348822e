import { type Instant, type Route, route, toRfc3339 } from '@mercato/kit';
import { Type } from '@sinclair/typebox';
import type { AdminPorts } from './ports.ts';

interface Row {
  readonly id: number;
  readonly at: Instant;
  readonly warehouse: string;
  readonly sku: string;
  readonly type: string;
  readonly quantity: number;
  readonly reference: string;
}

/** The append-only log of movements: for audits, and for whoever recomputes the counters elsewhere (the conservation check). */
export const movementRoutes = ({ store }: AdminPorts): Route[] => [
  route({
    method: 'get',
    path: '/movements',
    summary: 'Lists movements, oldest first. `next` is the cursor of what follows; absent at the end.',
    query: Type.Object({
      cursor: Type.Optional(Type.Integer({ minimum: 0 })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 5000 })),
    }),
    response: Type.Object({
      items: Type.Array(
        Type.Object({
          id: Type.Integer(),
          at: Type.String({ format: 'date-time' }),
          warehouse: Type.String(),
          sku: Type.String(),
          type: Type.String(),
          quantity: Type.Integer(),
          reference: Type.String({ description: 'The reservation, adjustment or receipt that it belongs to' }),
        }),
      ),
      next: Type.Optional(Type.Integer()),
    }),
    handle: ({ query: { cursor = 0, limit = 500 } }) =>
      store.read((reader) => {
        const rows = reader.all<Row>('SELECT * FROM movement WHERE id > ? ORDER BY id LIMIT ?', cursor, limit + 1);
        const items = rows.slice(0, limit).map((row) => ({ ...row, at: toRfc3339(row.at) }));
        return { items, ...(rows.length > limit ? { next: items.at(-1)!.id } : {}) };
      }),
  }),
];
