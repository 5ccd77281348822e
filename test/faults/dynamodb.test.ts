import { randomBytes } from 'node:crypto';
import { sharedDynamoDbLocal } from '@mercato/aws-emulators/testing.ts';
import type { OperatorProcess } from '@mercato/bench/shop.ts';
import { requireBinaries } from '@mercato/controlplane/testing.ts';
import { createJournalTable } from '@mercato/operator/testing/journal-table.ts';
import { KILLS, killAtRandom, ordersFor } from './kills.ts';
import { playFaults } from './play.ts';

const WORKERS = ['worker-1', 'worker-2', 'worker-3'];

describe('a shop with the dynamodb journal', function () {
  this.timeout(600_000);
  before(() => requireBinaries());

  it(`loses nothing when its ${WORKERS.length} workers are killed ${KILLS} times`, async () => {
    const { client, environment } = await sharedDynamoDbLocal();
    const table = `runs-${randomBytes(4).toString('hex')}`;
    await createJournalTable(client, table);
    const journal = ['--journal=dynamodb', `--journal-table=${table}`];
    const operators: OperatorProcess[] = [
      { name: 'controllers', args: [...journal, '--role=controllers'], takesIn: false },
      ...WORKERS.map((name) => ({ name, args: [...journal, '--role=worker'], takesIn: true })),
    ];
    const isOperator = (name: string) => operators.some((one) => one.name === name);
    const envOf = (name: string) => (isOperator(name) ? environment : {});
    const kills = WORKERS.map((name, nth) => [name, Math.ceil((KILLS - nth) / WORKERS.length)] as const);
    await playFaults({ orders: ordersFor(KILLS), operators, envOf }, (stage, seed) =>
      killAtRandom(stage, seed, Object.fromEntries(kills)),
    );
  });
});
