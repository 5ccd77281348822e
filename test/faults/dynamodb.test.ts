import { randomBytes } from 'node:crypto';
import { sharedDynamoDbLocal } from '@mercato/aws-emulators/testing.ts';
import type { OperatorProcess } from '@mercato/bench/shop.ts';
import { requireBinaries } from '@mercato/controlplane/testing.ts';
import { createJournalTable } from '@mercato/operator/testing/journal-table.ts';
import { expect } from 'chai';
import { DynamoStorm } from './dynamo-storm.ts';
import { KILLS, killAtRandom, ordersFor } from './kills.ts';
import { faultSeed, playFaults } from './play.ts';

const WORKERS = ['worker-1', 'worker-2', 'worker-3'];

describe('a shop with the dynamodb journal', function () {
  this.timeout(1_200_000);
  before(() => requireBinaries());

  it(`loses nothing when its ${WORKERS.length} workers are killed ${KILLS} times, and one call to DynamoDB in five goes wrong`, async () => {
    const { client, environment, url } = await sharedDynamoDbLocal();
    const seed = faultSeed();
    const table = `runs-${randomBytes(4).toString('hex')}`;
    await createJournalTable(client, table);
    const journal = ['--journal=dynamodb', `--journal-table=${table}`];
    const operators: OperatorProcess[] = [
      { name: 'controllers', args: [...journal, '--role=controllers'], takesIn: false },
      ...WORKERS.map((name) => ({ name, args: [...journal, '--role=worker'], takesIn: true })),
    ];
    const isOperator = (name: string) => operators.some((one) => one.name === name);
    const storm = await DynamoStorm.before(url, seed);
    const envOf = (name: string): Readonly<Record<string, string>> =>
      isOperator(name) ? { ...environment, AWS_ENDPOINT_URL: storm.url, AWS_ENDPOINT_URL_DYNAMODB: storm.url } : {};
    const kills = WORKERS.map((name, nth) => [name, Math.ceil((KILLS - nth) / WORKERS.length)] as const);
    try {
      await playFaults({ seed, orders: ordersFor(KILLS), operators, envOf }, async (stage) => {
        const line = await killAtRandom(stage, seed, Object.fromEntries(kills));
        storm.end();
        const struck = [...storm.struck].map(([fault, count]) => `${count} ${fault}`).join(', ');
        for (const fault of ['conflict', 'throttled', 'internal', 'answer lost'] as const)
          expect(storm.struck.get(fault) ?? 0, fault).to.be.at.least(5);
        return `${line}, calls to DynamoDB: ${struck}`;
      });
    } finally {
      await storm.close();
    }
  });
});
