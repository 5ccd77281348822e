import { Type } from '@sinclair/typebox';
import { type Route, route } from '../http/route.ts';
import type { Inbox } from './inbox.ts';

const Count = Type.Integer({ minimum: 0 });

/**
 * `POST /events`: CloudEvents in structured or batched JSON mode, from `senders` and from nobody else. 200 once they are on disk; the
 * same again is harmless. A 4xx is the sender's mistake; after anything else it is to send them again.
 * @param senders subjects of tokens, as `system:serviceaccount:mercato-system:mercato-shipping`
 */
export function eventsRoute(inbox: Pick<Inbox, 'receive'>, senders: readonly string[]): Route {
  return route({
    method: 'post',
    path: '/events',
    summary: 'Takes CloudEvents of other services: all of a request or none, each effect once',
    consumes: ['application/cloudevents+json', 'application/cloudevents-batch+json'],
    callers: senders,
    body: Type.Unknown({ description: 'a CloudEvents 1.0 event, or an array of up to 1000' }),
    response: Type.Object({
      applied: Count,
      duplicate: Count,
      stale: Count,
      ignored: Count,
      unsubscribed: Count,
    }),
    handle: ({ body }) => inbox.receive(body),
  });
}
