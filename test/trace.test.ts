import { mkdtemp, readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BenchShop, startBenchShop } from '@mercato/bench/shop.ts';
import { seedStock } from '@mercato/bench/stock.ts';
import { requireBinaries } from '@mercato/controlplane/testing.ts';
import { OBSERVER_ACCOUNT, SYSTEM_NAMESPACE } from '@mercato/demo/local/install.ts';
import { expect } from 'chai';
import { request } from 'undici';

const PATIENCE_MS = 60_000;

/** What a person could be found by, or charged with. */
const SECRETS = {
  paymentToken: 'tok_visa-4242',
  shipTo: {
    name: 'Ada Lovelace',
    line1: '12 St James Square',
    city: 'London',
    postcode: 'SW1Y 4JH',
    country: 'GB',
  },
  customer: 'customer-1815',
} as const;

/** A span as OTLP has it in JSON, and whose it is. */
interface Span {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client, 5 consumer. */
  readonly kind: number;
}

interface Otlp {
  readonly resourceSpans?: readonly {
    readonly resource: { readonly attributes: readonly { readonly key: string; readonly value: object }[] };
    readonly scopeSpans: readonly { readonly spans: readonly Omit<Span, 'service'>[] }[];
  }[];
}

const KINDS: Readonly<Record<number, string>> = { 1: 'internal', 2: 'server', 3: 'client', 5: 'consumer' };

/** Takes spans over OTLP/HTTP, and announcements to customers, as one server. */
class Collector {
  readonly spans: Span[] = [];
  /** As they came in. */
  readonly bodies: string[] = [];
  readonly announced: { readonly type: string; readonly subject: string; readonly traceparent?: string }[] = [];
  readonly #server: Server = createServer((asked, response) => {
    void textOf(asked).then((text) => {
      if (asked.url === '/v1/traces') this.#keep(text);
      else this.announced.push(...(JSON.parse(text) as Collector['announced']));
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });

  static async start(): Promise<Collector> {
    const collector = new Collector();
    await new Promise<void>((resolve) => collector.#server.listen(0, '127.0.0.1', resolve));
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #keep(text: string): void {
    this.bodies.push(text);
    for (const { resource, scopeSpans } of (JSON.parse(text) as Otlp).resourceSpans ?? []) {
      const named = resource.attributes.find(({ key }) => key === 'service.name')?.value as { stringValue: string };
      for (const { spans } of scopeSpans)
        this.spans.push(...spans.map((span) => ({ ...span, service: named.stringValue })));
    }
  }
}

async function textOf(asked: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of asked as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function until(holds: () => boolean, otherwise: () => string): Promise<void> {
  for (const deadline = Date.now() + PATIENCE_MS; !holds(); ) {
    if (Date.now() > deadline) throw new Error(otherwise());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * The trace as lines, each indented below its cause, siblings in the order of their names. What was done again stands there once: on a busy machine a command
 * may be late, and is sent again.
 */
function tree(spans: readonly Span[], parents: readonly string[], depth = 0): string[] {
  const children = spans.filter(({ parentSpanId = '' }) => parents.includes(parentSpanId));
  const byLabel = Object.groupBy(children, ({ service, name, kind }) => `${service}: ${name} (${KINDS[kind] ?? kind})`);
  return Object.entries(byLabel)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([label, same = []]) => [
      `${'  '.repeat(depth)}${label}`,
      ...tree(
        spans,
        same.map(({ spanId }) => spanId),
        depth + 1,
      ),
    ]);
}

describe('a trace of the shop', function () {
  // Ten seconds each on a quiet machine.
  this.timeout(300_000);
  let collector: Collector;
  let shop: BenchShop;

  before(() => requireBinaries());
  beforeEach(async () => {
    collector = await Collector.start();
  });
  afterEach(async () => {
    await shop.stop();
    collector.close();
  });

  /** Every program of the shop, with its traces sent to the collector. */
  const open = async (ratio: string): Promise<void> => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_TRACES_SAMPLER_ARG: ratio,
      // What a company does not answer in time is asked for once more, which is another span.
      PROCESSOR_TIMEOUT_MS: '60000',
      CARRIER_TIMEOUT_MS: '60000',
    };
    shop = await startBenchShop(await mkdtemp(join(tmpdir(), 'mercato-trace-')), {
      subscriber: `${collector.url}/events`,
      envOf: () => env,
    });
    const { token } = await shop.client.createToken(
      { namespace: SYSTEM_NAMESPACE, name: OBSERVER_ACCOUNT },
      { audiences: ['inventory'], expirationSeconds: 3_600 },
    );
    await seedStock(shop.urls.inventory, 1, token);
  };

  /** Places an order and waits until its customer hears that it is completed. @returns its id */
  const complete = async (headers: Readonly<Record<string, string>> = {}): Promise<string> => {
    const token = (await readFile(shop.customerToken, 'utf8')).trim();
    const answer = await request(`${shop.urls.order}/orders`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${token}`,
        'idempotency-key': 'one',
        ...headers,
      },
      body: JSON.stringify({
        ...SECRETS,
        currency: 'GBP',
        lines: [{ sku: 'SKU-0', quantity: 2, unitPrice: 450 }],
      }),
    });
    const text = await answer.body.text();
    expect(answer.statusCode, text).to.equal(201);
    const { id } = JSON.parse(text) as { id: string };
    await until(
      () => collector.announced.some(({ subject, type }) => subject === id && type.endsWith('.completed')),
      () => `${id} is not completed: ${JSON.stringify(collector.announced)}`,
    );
    return id;
  };

  it('is one from the request to the announcement, and says nothing of who ordered what', async () => {
    await open('1');
    const caller = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };
    await complete({ traceparent: `00-${caller.traceId}-${caller.spanId}-01` });
    await shop.fleet.endAll();

    expect(new Set(collector.spans.map(({ traceId }) => traceId))).to.deep.equal(new Set([caller.traceId]));
    expect(tree(collector.spans, [caller.spanId])).to.deep.equal([
      'order: POST /orders (server)',
      '  operator: dev.mercato.order.placed (consumer)',
      '    operator: authorise-payment (client)',
      '      payment: authorise-payment (server)',
      '        payment: POST (client)',
      '    operator: book-shipment (client)',
      '      shipping: book-shipment (server)',
      '        shipping: POST (client)',
      '    operator: capture-payment (client)',
      '      payment: capture-payment (server)',
      '        payment: POST (client)',
      '    operator: commit-stock (client)',
      '      inventory: commit-stock (server)',
      '    operator: reserve-stock (client)',
      '      inventory: reserve-stock (server)',
      '    operator: run ended (internal)',
      '    order: dev.mercato.saga.succeeded (consumer)',
    ]);
    const ids = new Set([caller.spanId, ...collector.spans.map(({ spanId }) => spanId)]);
    const orphans = collector.spans.filter(({ parentSpanId = '' }) => !ids.has(parentSpanId));
    expect(orphans, 'all hang below the request').to.be.empty;
    const heard = collector.spans.find(({ name }) => name === 'dev.mercato.saga.succeeded');
    const told = collector.announced.find(({ type }) => type.endsWith('.completed'));
    expect(told?.traceparent, 'what customers are told goes on with it').to.equal(
      `00-${caller.traceId}-${heard?.spanId}-01`,
    );
    const all = collector.bodies.join('\n');
    const { shipTo, ...rest } = SECRETS;
    const { country: _two_letters, ...address } = shipTo;
    for (const secret of [...Object.values(rest), ...Object.values(address), 'SKU-0'])
      expect(all.includes(secret), secret).to.equal(false);
    expect(all).to.not.match(/tok_|Bearer|eyJ/);
  });

  it('that is not to be kept costs nobody a span, and the order runs', async () => {
    await open('0');
    await complete();
    await shop.fleet.endAll();
    expect(collector.bodies).to.deep.equal([]);
    const [told] = collector.announced;
    expect(told?.traceparent, 'it is named all the same').to.match(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  });
});
