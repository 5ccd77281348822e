import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { batches } from './batches.ts';
import { client, serve } from './http.ts';
import { Rows } from './rows.ts';

/**
 * The order service without its logic. `POST /orders`: order, outbox event and idempotency record in one commit; a relay to the operator. `POST /events`
 * of the operator: the order's row and an outbox event; a relay to the subscriber. A batch that was taken is marked in a row.
 */
const { OPERATOR = '', SUBSCRIBER = '', DATA_DIR = '' } = process.env;
const rows = new Rows(join(DATA_DIR, 'order.sqlite'));

const relay = (url: string) => {
  const post = client(url, 2);
  return batches<object, undefined>(100, 1, async (events) => {
    await post('/events', events);
    await rows.write(1);
    return events.map(() => undefined);
  });
};
const place = relay(OPERATOR);
const announce = relay(SUBSCRIBER);

const event = (type: string, subject: string, data: unknown) => ({
  specversion: '1.0',
  id: `default/checkout/${subject}/1`,
  source: '/mercato/order',
  type,
  subject,
  time: new Date().toISOString(),
  sequence: '1',
  mercatonamespace: 'default',
  mercatosaga: 'checkout',
  datacontenttype: 'application/json',
  data,
});

await serve({
  '/orders': async (order) => {
    await rows.write(3);
    const orderId = randomUUID();
    void place(event('dev.mercato.order.placed', orderId, order));
    return { orderId, state: 'placed' };
  },
  '/events': async (events) => {
    await Promise.all((events as { subject: string }[]).map(() => rows.write(2)));
    for (const { subject } of events as { subject: string }[])
      void announce(event('dev.mercato.order.completed', subject, {}));
    return {};
  },
});
