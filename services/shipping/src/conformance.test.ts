import { join } from 'node:path';
import { createLogger, openDatabase, SqliteStore, startService } from '@mercato/kit';
import { type ConformancePorts, type ConformanceSubject, describeParticipant } from '@mercato/kit/conformance.ts';
import { type AppendLog, fileLog } from '@mercato/kit/simulator/append-log.ts';
import { inProcessExchange } from '@mercato/kit/simulator/backend.ts';
import { simulatedCarrier } from './adapters/simulated-carrier.ts';
import { SimulatedCarrier } from './carrier/backend.ts';
import type { CarrierEntry } from './carrier/ledger.ts';
import { migrations, shippingService } from './service.ts';
import { standingOf } from './testing/bench.ts';

let log: AppendLog<CarrierEntry>;
let carrier: SimulatedCarrier;

/** The whole service over HTTP, with the simulator inside and its log in the same directory. */
async function start({ dataDir, clock, tokens }: ConformancePorts) {
  log = fileLog<CarrierEntry>(join(dataDir, 'carrier.jsonl'));
  const history = log.read(0, Number.POSITIVE_INFINITY).entries;
  // Longer than the suite jumps, so that what it cancels has not been picked up.
  const times = { decideMs: 1_000, pickUpMs: 100 * 86_400_000, deliverMs: 1_000 };
  carrier = new SimulatedCarrier({ clock, history, times });
  const store = new SqliteStore(openDatabase(join(dataDir, 'shipping.sqlite')), { migrations });
  const port = simulatedCarrier(inProcessExchange({ backend: carrier, log, clock }));
  const { participant, routes, tasks } = shippingService({ store, carrier: port, clock });
  const logger = createLogger('shipping', 'silent');
  const parts = { name: 'shipping', version: 'test', store, participant, tokens, logger, clock, routes, tasks };
  const running = await startService(parts, 0, '127.0.0.1');
  return {
    url: running.url,
    close: async () => {
      await running.close();
      await log.close();
    },
  };
}

const body = {
  shipTo: { line1: '1 High Street', city: 'Leeds', country: 'GB' },
  lines: [{ sku: '85123a', quantity: 6, unitPrice: 255 }],
  warehouses: 'leeds',
};

const book: ConformanceSubject = {
  start,
  action: 'book-shipment',
  compensation: 'cancel-shipment',
  body: () => body,
  otherBody: () => ({ ...body, warehouses: 'york' }),
  badBody: { ...body, shipTo: { country: 'Great Britain' } },
  failing: {
    body: () => ({ ...body, shipTo: { ...body.shipTo, country: 'AQ' } }),
    reason: 'NoService',
    repair: async () => {
      const served = { method: 'POST', path: '/admin/unserved', query: new URLSearchParams(), body: { countries: [] } };
      carrier.receive(served).work();
    },
  },
  effects: async (_client, orderId) =>
    standingOf(log.read(0, 100_000).entries.filter((entry) => entry.orderKey === `shop/checkout/${orderId}`)),
};

describeParticipant('book-shipment', book);
