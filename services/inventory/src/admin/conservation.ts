import { type Route, route, toRfc3339 } from '@mercato/kit';
import { Type } from '@sinclair/typebox';
import { checkConservation, repairDrift } from '../rows/conservation.ts';
import type { AdminPorts } from './ports.ts';

const shownDifferences = 100;

/** Whether the books are right, and setting counters right that are not. */
export const conservationRoutes = ({ store, clock }: AdminPorts): Route[] => [
  route({
    method: 'get',
    path: '/conservation',
    summary:
      'Recomputes all counters from the movements and from the open reservations, and says what differs. Changes nothing.',
    response: Type.Object({
      balanced: Type.Boolean(),
      levels: Type.Integer(),
      movements: Type.Integer(),
      totals: Type.Record(Type.String(), Type.Integer()),
      differenceCount: Type.Integer(),
      differences: Type.Array(Type.Object({})),
      reservations: Type.Array(Type.Object({})),
    }),
    async handle() {
      const { differences, reservations, ...rest } = await checkConservation(store);
      return {
        ...rest,
        differenceCount: differences.length + reservations.length,
        differences: differences.slice(0, shownDifferences),
        reservations: reservations.slice(0, shownDifferences),
      };
    },
  }),
  route({
    method: 'post',
    path: '/repair',
    summary:
      'Sets counters that drifted to what the movements say, and keeps a record of who asked. `dryRun`: only says what it would do.',
    body: Type.Object({ dryRun: Type.Optional(Type.Boolean()) }),
    response: Type.Object({ repaired: Type.Array(Type.Object({})), dryRun: Type.Boolean(), at: Type.String() }),
    async handle({ body: { dryRun = false }, caller }) {
      const now = clock.now();
      return { repaired: await repairDrift(store, caller.subject, now, dryRun), dryRun, at: toRfc3339(now) };
    },
  }),
];
