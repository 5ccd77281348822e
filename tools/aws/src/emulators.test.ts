import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CreateTableCommand, DescribeTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { CreateQueueCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { isAlive } from '@mercato/controlplane/binaries/lock.ts';
import { expect } from 'chai';
import { ensureEmulator, InstallError } from './index.ts';
import type { Emulator } from './server.ts';
import { sharedDynamoDbLocal, sharedElasticMq, sharedMiniStack } from './testing.ts';

const PATIENCE_MS = 30_000;

describe('the emulators of AWS', function () {
  this.timeout(120_000);

  for (const [name, start] of Object.entries({ ElasticMQ: sharedElasticMq, MiniStack: sharedMiniStack })) {
    it(`${name} keeps messages, and names queues by URLs that lead back to it`, async () => {
      const { client, url } = await start();
      const sqs = new SQSClient(client);
      const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'orders' }));
      expect(new URL(QueueUrl!).host).to.equal(new URL(url).host);
      await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'one' }));
      const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 5 }));
      expect(Messages.map(({ Body }) => Body)).to.deep.equal(['one']);
      sqs.destroy();
    });
  }

  for (const [name, start] of Object.entries({ 'DynamoDB Local': sharedDynamoDbLocal, MiniStack: sharedMiniStack })) {
    it(`${name} has tables`, async () => {
      const dynamo = new DynamoDBClient((await start()).client);
      await dynamo.send(
        new CreateTableCommand({
          TableName: 'orders',
          KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
          AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
          BillingMode: 'PAY_PER_REQUEST',
        }),
      );
      const { Table } = await dynamo.send(new DescribeTableCommand({ TableName: 'orders' }));
      expect(Table?.TableStatus).to.equal('ACTIVE');
      dynamo.destroy();
    });
  }

  it('are reached from this machine only', async () => {
    const address = Object.values(networkInterfaces())
      .flatMap((each) => each ?? [])
      .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
    if (address === undefined) return; // A machine that has no other address proves nothing, and risks nothing.
    for (const start of [sharedElasticMq, sharedDynamoDbLocal, sharedMiniStack]) {
      const { url } = await start();
      const port = Number(new URL(url).port);
      expect(await accepts(port, '127.0.0.1'), url).to.equal(true);
      expect(await accepts(port, address), `${address}:${port}`).to.equal(false);
    }
  });

  it('end with the process that started them, however it ends, and leave no files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'emulators-'));
    const script = `const { startElasticMq } = await import(${JSON.stringify(fileURLToPath(new URL('index.ts', import.meta.url)))});
      console.log((await startElasticMq()).pid); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TMPDIR: folder },
    });
    const pid = Number(await firstLine(child));
    expect(isAlive(pid)).to.equal(true);
    child.kill('SIGKILL');
    await until(() => !isAlive(pid) && readdirSync(folder).length === 0, 'the emulator is gone, with its folder');
    rmSync(folder, { recursive: true });
  });

  it('say which client is missing where they cannot be installed, and leave nothing half installed', async () => {
    const cache = mkdtempSync(join(tmpdir(), 'emulators-'));
    const env = { MERCATO_CACHE: cache, PATH: join(cache, 'empty') };
    const error = await ensureEmulator('elasticmq', { env, onProgress: () => {} }).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(InstallError);
    expect((error as Error).message)
      .to.contain('takes mvn, java')
      .and.to.contain('install Maven');
    expect(readdirSync(join(cache, 'aws'))).to.deep.equal([]);
    rmSync(cache, { recursive: true });
  });

  it('are closed once, and nothing listens then', async () => {
    const { startMiniStack } = await import('./index.ts');
    const emulator: Emulator = await startMiniStack();
    await Promise.all([emulator.close(), emulator.close()]);
    expect(await accepts(Number(new URL(emulator.url).port), '127.0.0.1')).to.equal(false);
    expect(existsSync(`/proc/${emulator.pid}`)).to.equal(false);
  });
});

async function firstLine(child: ChildProcess): Promise<string> {
  const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  return line;
}

function accepts(port: number, host: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ port, host, timeout: PATIENCE_MS });
  const settle = (accepted: boolean) => {
    socket.destroy();
    resolve(accepted);
  };
  socket.once('connect', () => settle(true));
  for (const event of ['error', 'timeout']) socket.once(event, () => settle(false));
  return promise;
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${PATIENCE_MS / 1000} s: ${what}`);
    await delay(20);
  }
}
