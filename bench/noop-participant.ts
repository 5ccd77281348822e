import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * A participant that does nothing and answers at once, in a process of its own: what it costs is the hop. Prints its URL. Each command gives every
 * output that the steps of checkout use. With `--never` it has accepted everything and finishes nothing, so that runs stay active.
 */
const OUTPUT = {
  reservationId: 'r',
  expiresAt: '2100-01-01T00:00:00Z',
  authorisationId: 'a',
  warehouses: 'leeds',
  bookingId: 'b',
  captureId: 'c',
};
const never = process.argv.includes('--never');
const ONE = never ? '{}' : JSON.stringify(OUTPUT);
const ITEM = never ? '{"status":202,"retryAfter":30,"body":{}}' : `{"status":200,"body":${ONE}}`;

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    response.setHeader('content-type', 'application/json');
    if (!request.url?.endsWith('/batch')) {
      if (never) response.writeHead(202, { 'retry-after': '30' });
      return response.end(ONE);
    }
    const { items } = JSON.parse(Buffer.concat(chunks).toString()) as { items: unknown[] };
    return response.end(`{"items":[${items.map(() => ITEM).join(',')}]}`);
  });
});
server.listen(0, '127.0.0.1', () =>
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`),
);
process.on('SIGTERM', () => process.exit(0));
