import { Type } from '@sinclair/typebox';
import { type Route, route } from '../http/route.ts';
import type { AppendLog } from './append-log.ts';

/** The log of a simulator that runs inside a service, as the simulator's own server gives it. */
export function logRoute<Entry>(path: string, log: AppendLog<Entry>): Route {
  return route({
    method: 'get',
    path,
    summary: "The embedded simulator's log, oldest first",
    query: Type.Object({
      cursor: Type.Optional(Type.Integer({ minimum: 0 })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
    }),
    response: Type.Object({ entries: Type.Array(Type.Unknown()), next: Type.Integer() }),
    handle: async ({ query }) => log.read(query.cursor ?? 0, query.limit ?? 1_000),
  });
}
