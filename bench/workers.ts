import { mkdtemp } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDynamoDbLocal, startElasticMq } from '@mercato/aws-emulators';
import { freePort } from '@mercato/controlplane/ports.ts';
import { OBSERVER_ACCOUNT, SYSTEM_NAMESPACE } from '@mercato/demo/local/install.ts';
import { requestedTokens } from '@mercato/demo/play/reach.ts';
import { type Queue, sqsClient } from '@mercato/operator/aws/sqs.ts';
import { testQueueWithDeadLetters } from '@mercato/operator/aws/testing.ts';
import { createJournalTable } from '@mercato/operator/testing/journal-table.ts';
import type { Figure } from './figures.ts';
import { LoadGenerator, type LoadReport } from './load-generator.ts';
import { type OperatorProcess, startBenchShop } from './shop.ts';
import { seedStock } from './stock.ts';

/** Runs that a worker drives at once. So few that places are what a worker lacks, as it lacks processors on a node of its own; two cores could not show that. */
const PLACES = Number(process.env['PLACES'] ?? 4);
/** More than two workers of so few places can bear. Orders a second. */
const RATE = Number(process.env['RATE'] ?? 100);
const SECONDS = Number(process.env['SECONDS'] ?? 20);
/** What one worker that is left can bear. */
const QUIET_RATE = 15;
const SKUS = 100;

/**
 * Workers that share the dynamodb journal (DynamoDB Local) and a queue (ElasticMQ), with the whole shop before and behind them: what a second one adds, and
 * how long the death of one of two (SIGKILL) stalls the orders that it had.
 */
export async function workers(): Promise<Figure[]> {
  const one = await play({ workers: 1, rate: RATE });
  const two = await play({ workers: 2, rate: RATE });
  const killed = await play({ workers: 2, rate: QUIET_RATE, places: 1_000, kill: true });
  const rate = ({ completedPerSecond }: LoadReport) => completedPerSecond;
  return [
    { name: 'one worker', value: rate(one), unit: 'orders/s' },
    { name: 'two workers', value: rate(two), unit: 'orders/s' },
    { name: 'two workers over one', value: rate(two) / rate(one), unit: 'ratio', goal: '>= 1.5' },
    { name: 'one of two killed: orders', value: killed.accepted, unit: 'orders' },
    { name: 'one of two killed: orders without an end', value: killed.open, unit: 'orders', goal: '<= 0' },
    { name: 'one of two killed: order to completed, p50', value: killed.completion.p50, unit: 'ms' },
    {
      name: 'one of two killed: order to completed, longest',
      value: killed.completion.max,
      unit: 'ms',
      goal: '< 15000',
    },
  ];
}

interface Play {
  readonly workers: number;
  readonly rate: number;
  readonly places?: number;
  /** Whether the last worker is killed in the middle. */
  readonly kill?: boolean;
}

async function play({ workers, rate, places = PLACES, kill = false }: Play): Promise<LoadReport> {
  const dynamodb = await startDynamoDbLocal();
  const elasticMq = await startElasticMq();
  const sqs = sqsClient({ config: elasticMq.client });
  const { queue } = await testQueueWithDeadLetters(sqs, 'orders');
  const rule = await Rule.into(queue);
  try {
    const table = 'runs';
    await createJournalTable(dynamodb.client, table);
    const journal = ['--journal=dynamodb', `--journal-table=${table}`];
    const worker = [...journal, '--role=worker', `--max-in-work=${places}`, `--intake-queue=${queue.url}`];
    const operators: OperatorProcess[] = [
      { name: 'controllers', args: [...journal, '--role=controllers'], takesIn: false },
      ...Array.from({ length: workers }, (_, n) => ({ name: `worker-${n + 1}`, args: worker, takesIn: true })),
    ];
    const environment = {
      ...dynamodb.environment,
      AWS_ENDPOINT_URL_DYNAMODB: dynamodb.url,
      AWS_ENDPOINT_URL_SQS: elasticMq.url,
    };
    const directory = await mkdtemp(join(tmpdir(), 'mercato-workers-'));
    const starting = await LoadGenerator.start(await freePort());
    const shop = await startBenchShop(directory, {
      subscriber: `http://127.0.0.1:${starting.port}/events`,
      operators,
      intake: async () => rule.url,
      envOf: (name) => (operators.some((operator) => operator.name === name) ? environment : {}),
    });
    try {
      const tokenFor = requestedTokens(shop.client, { namespace: SYSTEM_NAMESPACE, name: OBSERVER_ACCOUNT });
      await seedStock(shop.urls.inventory, SKUS, await tokenFor('inventory'));
      const generator = await LoadGenerator.launch(
        starting,
        new URL(shop.urls.order).host,
        { rate, duration: `${SECONDS}s`, skus: SKUS, tokenFile: shop.customerToken },
        ({ second, completed, open }) => {
          if (second % 5 === 0) process.stderr.write(`${second} s: ${completed} completed, ${open} open\n`);
          if (kill && second === Math.round(SECONDS / 2)) void shop.fleet.kill(`worker-${workers}`);
        },
      );
      try {
        return await generator.run();
      } finally {
        generator.stop();
      }
    } finally {
      await shop.stop();
    }
  } finally {
    await rule.close();
    sqs.destroy();
    await Promise.all([elasticMq.close(), dynamodb.close()]);
  }
}

/** Stands for the event bus and its rule: takes the order service's events over HTTP, and answers once they are in the queue. */
class Rule {
  readonly #server: Server;

  private constructor(queue: Queue) {
    this.#server = createServer(async (incoming, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
      const events = JSON.parse(Buffer.concat(chunks).toString()) as readonly unknown[];
      const sent = await Promise.all(events.map((event) => queue.send({ body: JSON.stringify(event) })));
      response.writeHead(sent.every((outcome) => outcome === 'Done') ? 204 : 503).end();
    });
  }

  static async into(queue: Queue): Promise<Rule> {
    const rule = new Rule(queue);
    await new Promise<void>((resolve) => rule.#server.listen(0, '127.0.0.1', resolve));
    return rule;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
