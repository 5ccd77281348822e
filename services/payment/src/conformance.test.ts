import { join } from 'node:path';
import { createLogger, openDatabase, SqliteStore, startService } from '@mercato/kit';
import { type ConformancePorts, type ConformanceSubject, describeParticipant } from '@mercato/kit/conformance.ts';
import { type AppendLog, fileLog } from '@mercato/kit/simulator/append-log.ts';
import { inProcessExchange } from '@mercato/kit/simulator/backend.ts';
import type { TestClient } from '@mercato/kit/testing/client.ts';
import { SimulatedAcquirer } from './acquirer/backend.ts';
import type { AcquirerEntry } from './acquirer/ledger.ts';
import { simulatedAcquirer } from './adapters/simulated-acquirer.ts';
import { migrations, paymentService } from './service.ts';

let log: AppendLog<AcquirerEntry>;
let acquirer: SimulatedAcquirer;

/** The whole service over HTTP, with the simulator inside and its log in the same directory. */
async function start({ dataDir, clock, tokens }: ConformancePorts) {
  log = fileLog<AcquirerEntry>(join(dataDir, 'acquirer.jsonl'));
  acquirer = new SimulatedAcquirer({ clock, history: log.read(0, Number.POSITIVE_INFINITY).entries });
  const store = new SqliteStore(openDatabase(join(dataDir, 'payment.sqlite')), { migrations });
  const processor = simulatedAcquirer(inProcessExchange({ backend: acquirer, log, clock }));
  const service = paymentService({ store, processor, clock });
  const logger = createLogger('payment', 'silent');
  const { participant, routes, tasks } = service;
  const parts = { name: 'payment', version: 'test', store, participant, tokens, logger, clock, routes, tasks };
  const running = await startService(parts, 0, '127.0.0.1');
  return {
    url: running.url,
    close: async () => {
      await running.close();
      await log.close();
    },
  };
}

/** By the acquirer's log: approved operations of this kind, less those that a void took back. */
async function effects(operation: AcquirerEntry['operation'], orderId: string): Promise<number> {
  const entries = log.read(0, 100_000).entries.filter((entry) => entry.orderKey === `shop/checkout/${orderId}`);
  const approved = entries.filter((entry) => entry.outcome === 'approved');
  const undone = new Set(approved.filter((entry) => entry.operation === 'void').map((entry) => entry.target));
  return approved.filter((entry) => entry.operation === operation && !undone.has(entry.id)).length;
}

const paid = { total: 1_530, currency: 'GBP', paymentToken: 'tok_visa', customer: 'customer-1' };

async function authorised(client: TestClient, orderId: string): Promise<string> {
  const answer = await client.single({ command: 'authorise-payment', orderId, step: 'authorise', body: paid });
  return String(answer.body['authorisationId']);
}

async function captured(client: TestClient, orderId: string): Promise<string> {
  const body = { authorisationId: await authorised(client, orderId), total: 1_530, currency: 'GBP' };
  const answer = await client.single({ command: 'capture-payment', orderId, step: 'capture', body });
  return String(answer.body['captureId']);
}

function repair(path: string, body: object): () => Promise<void> {
  return async () => {
    acquirer.receive({ method: 'POST', path, query: new URLSearchParams(), body }).work();
  };
}

const authorise: ConformanceSubject = {
  start,
  action: 'authorise-payment',
  compensation: 'void-payment',
  body: () => paid,
  otherBody: () => ({ ...paid, total: 1_531 }),
  badBody: { ...paid, total: 'much' },
  failing: {
    body: () => ({ ...paid, paymentToken: 'tok_declined' }),
    reason: 'CardDeclined',
    repair: repair('/admin/tokens', { token: 'tok_declined', as: 'tok_visa' }),
  },
  effects: (_client, orderId) => effects('authorise', orderId),
};

const capture: ConformanceSubject = {
  start,
  action: 'capture-payment',
  body: async (client, orderId) => ({
    authorisationId: await authorised(client, orderId),
    total: 1_530,
    currency: 'GBP',
  }),
  otherBody: async (client, orderId) => ({
    authorisationId: await authorised(client, orderId),
    total: 1_529,
    currency: 'GBP',
  }),
  badBody: { authorisationId: 7 },
  effects: (_client, orderId) => effects('capture', orderId),
};

const refund: ConformanceSubject = {
  start,
  action: 'refund-payment',
  body: async (client, orderId) => ({ captureId: await captured(client, orderId), amount: 500 }),
  otherBody: async (client, orderId) => ({ captureId: await captured(client, orderId), amount: 499 }),
  badBody: { captureId: 'ca_x', amount: 'all' },
  effects: (_client, orderId) => effects('refund', orderId),
};

describeParticipant('authorise-payment', authorise);
describeParticipant('capture-payment', capture);
describeParticipant('refund-payment', refund);
