import { execFile } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { SQSClient } from '@aws-sdk/client-sqs';
import type { Emulator } from '@mercato/aws-emulators';
import { sharedElasticMq } from '@mercato/aws-emulators/testing.ts';
import { expect } from 'chai';
import { MESSAGE, REASON } from '../aws/dead-letters.ts';
import { type Queue, sqsClient } from '../aws/sqs.ts';
import { depth, testQueueWithDeadLetters } from '../aws/testing.ts';
import { CANCEL_REQUESTED, ORDER_PLACED } from '../intake/events.ts';
import { REDRIVEN } from '../intake/sqs-message.ts';
import { parseRedriveFlags } from './options.ts';

const PROGRAM = fileURLToPath(new URL('../redrive.ts', import.meta.url));
const PAYMENT_TOKEN = 'tok_4f9a1c2e';
const STREET = '12 St James Square';
const DAY = 86_400_000;

const placed = (orderId: string, age = 0) =>
  JSON.stringify({
    specversion: '1.0',
    id: `shop/checkout/${orderId}/1`,
    source: '/mercato/order',
    type: ORDER_PLACED,
    subject: orderId,
    time: new Date(Date.now() - age).toISOString(),
    mercatonamespace: 'shop',
    mercatosaga: 'checkout',
    data: { customer: 'ada', currency: 'GBP', lines: [], paymentToken: PAYMENT_TOKEN, shipTo: { line1: STREET } },
  });

describe('the redrive of dead letters', function () {
  // Each run is a process of its own, and waits two seconds for a queue to be empty.
  this.timeout(180_000);
  let emulator: Emulator;
  let client: SQSClient;
  let queue: Queue;
  let deadLetters: Queue;
  let orders: Server;
  const states = new Map<string, string>();

  before(async () => {
    emulator = await sharedElasticMq();
    client = sqsClient({ config: emulator.client });
    orders = createServer((request, response) => {
      const state = states.get(request.url!.split('/').at(-1)!);
      response.writeHead(state === undefined ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ state }));
    });
    await new Promise<void>((resolve) => orders.listen(0, '127.0.0.1', resolve));
  });

  beforeEach(async () => {
    states.clear();
    ({ queue, deadLetters } = await testQueueWithDeadLetters(client, 'redrive'));
  });

  after(() => {
    client.destroy();
    orders.closeAllConnections();
    orders.close();
  });

  const putAside = (body: string, reason: string) =>
    deadLetters.send({ body, attributes: { [REASON]: reason, [MESSAGE]: `because of ${reason}` } });

  function run(...flags: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const env = { ...process.env, ...emulator.environment };
    return new Promise((resolve) => {
      execFile(process.execPath, [PROGRAM, '--queue', queue.url, ...flags], { env }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
      );
    });
  }

  const orderService = () => `http://127.0.0.1:${(orders.address() as AddressInfo).port}`;
  const line = (stdout: string, of: string) => stdout.split('\n').find((each) => each.includes(of)) ?? '';

  it('shows what is there and why, without payment tokens or addresses, and leaves it there', async () => {
    await putAside(placed('order-1'), 'SagaUnknown');
    await putAside('{"half', 'NotJson');
    const { code, stdout, stderr } = await run();
    expect(code, stderr).to.equal(0);
    expect(line(stdout, 'shop/checkout/order-1')).to.match(/^Shown +SagaUnknown .*because of SagaUnknown/);
    expect(line(stdout, 'NotJson')).to.match(/^Shown/);
    expect(stdout).to.contain('2 Shown').and.not.contain(PAYMENT_TOKEN).and.not.contain(STREET);
    expect(await depth(deadLetters)).to.deep.equal({ visible: 2, inFlight: 0 });
    expect(await depth(queue)).to.deep.equal({ visible: 0, inFlight: 0 });
  });

  it('says which queue could not be asked, and why, where SQS is not there or knows none of that name', async () => {
    const nowhere = 'http://127.0.0.1:1/000000000000/orders';
    const away = await run('--queue', nowhere);
    expect(away).to.include({ code: 2, stdout: '' });
    expect(away.stderr).to.contain(nowhere).and.not.contain('    at ');
    const unknown = await run('--queue', `${queue.url}-unknown`);
    expect(unknown).to.include({ code: 2, stdout: '' });
    expect(unknown.stderr).to.contain(`${queue.url}-unknown`).and.contain('QueueDoesNotExist');
  });

  it('moves back the letters of a reason as they were, and no others', async () => {
    states.set('order-1', 'Placed');
    await putAside(placed('order-1'), 'SagaUnknown');
    await putAside(placed('order-2'), 'InputInvalid');
    const { code, stdout } = await run('--reason', 'SagaUnknown', '--move', 'true', '--order-service', orderService());
    expect(code).to.equal(0);
    expect(stdout).to.contain('1 Shown, 1 Moved');
    expect(await depth(deadLetters)).to.deep.equal({ visible: 1, inFlight: 0 });
    const [moved] = await queue.receive({ visibility: 30, wait: 2 });
    expect(moved).to.deep.include({ attributes: {} });
    expect(JSON.parse(moved!.body)).to.include({ subject: 'order-1' });
  });

  it('runs no order whose customer was told that it failed, unless it is to be revived', async () => {
    states.set('order-told', 'Failed').set('order-old', 'Failed').set('order-cancelled', 'Cancelled');
    await putAside(placed('order-told'), 'SagaNotFound');
    await putAside(placed('order-old', 36 * DAY), 'TooOld');
    await putAside(placed('order-cancelled'), 'SagaNotFound');
    const unasked = await run('--all', 'true', '--move', 'true');
    expect(line(unasked.stdout, 'order-told')).to.match(/^Unsure .*--order-service/);
    const flags = ['--all', 'true', '--move', 'true', '--order-service', orderService()];
    const asked = await run(...flags);
    for (const id of ['order-told', 'order-old'])
      expect(line(asked.stdout, id)).to.match(/^Ended .*is Failed, and its customer was told so/);
    expect(await depth(queue)).to.deep.equal({ visible: 0, inFlight: 0 });
    const revived = await run(...flags, '--revive', 'true');
    expect(line(revived.stdout, 'order-told')).to.match(/^Moved/);
    // It may have failed by a run that intake has forgotten.
    expect(line(revived.stdout, 'order-old')).to.match(/^Ended/);
    expect(line(revived.stdout, 'order-cancelled')).to.match(/^Ended/);
    const moved = await queue.receive({ visibility: 30, wait: 2 });
    expect(moved.map(({ body, attributes }) => [body.includes('order-told'), attributes])).to.deep.equal([[true, {}]]);
  });

  it('moves without asking what nobody was told of', async () => {
    await deadLetters.send({ body: placed('order-1') });
    expect((await run('--reason', 'ReceivedTooOften', '--move', 'true')).stdout).to.contain('1 Moved');
  });

  it('moves an order that nobody was told of together with the cancel that missed it', async () => {
    await deadLetters.send({ body: placed('order-1') });
    const cancel = JSON.stringify({ ...JSON.parse(placed('order-1')), type: CANCEL_REQUESTED, data: {} });
    await putAside(cancel, 'OrderUnknown');
    const { code, stdout } = await run('--order', 'order-1', '--move', 'true');
    expect(code).to.equal(0);
    expect(stdout).to.contain('2 Moved');
    expect(await depth(queue)).to.deep.equal({ visible: 2, inFlight: 0 });
  });

  it('asks about orders older than intake remembers, and runs none again that has ended', async () => {
    states.set('order-ended', 'Completed').set('order-open', 'Placed');
    for (const id of ['order-ended', 'order-open', 'order-lost']) await putAside(placed(id, 36 * DAY), 'TooOld');
    const { code, stdout } = await run('--all', 'true', '--move', 'true', '--order-service', orderService());
    expect(code).to.equal(1);
    expect(line(stdout, 'order-ended')).to.match(/^Ended .*the order is Completed/);
    expect(line(stdout, 'order-open')).to.match(/^Moved/);
    expect(line(stdout, 'order-lost')).to.match(/^Unsure .*no such order/);
    const [moved, ...others] = await queue.receive({ visibility: 30, wait: 2 });
    expect(others).to.deep.equal([]);
    expect(moved!.body).to.contain('order-open');
    // What intake goes by: it was asked about just now.
    expect(Date.now() - Date.parse(moved!.attributes[REDRIVEN]!)).to.be.within(0, 60_000);
    expect(await depth(deadLetters)).to.deep.equal({ visible: 2, inFlight: 0 });
  });

  it('asks about younger ones where the operator remembers for a shorter time', async () => {
    states.set('order-open', 'Placed');
    await putAside(placed('order-open', 3 * DAY), 'TooOld');
    const flags = ['--all', 'true', '--move', 'true', '--order-service', orderService()];
    expect((await run(...flags, '--remember-orders', '2d')).stdout).to.contain('1 Moved');
    const [moved] = await queue.receive({ visibility: 30, wait: 2 });
    expect(Date.now() - Date.parse(moved!.attributes[REDRIVEN]!)).to.be.within(0, 60_000);
  });

  it('moves no old order that nobody can be asked about', async () => {
    await putAside(placed('order-old', 36 * DAY), 'TooOld');
    const { code, stdout } = await run('--order', 'order-old', '--move', 'true');
    expect(code).to.equal(1);
    expect(line(stdout, 'order-old')).to.match(/^Unsure .*--order-service/);
    expect(await depth(deadLetters)).to.deep.equal({ visible: 1, inFlight: 0 });
  });

  it('deletes letters of orders that have ended where that is asked for', async () => {
    states.set('order-ended', 'Cancelled');
    await putAside(placed('order-ended', 36 * DAY), 'TooOld');
    const flags = ['--all', 'true', '--move', 'true', '--discard-ended', 'true', '--order-service', orderService()];
    expect((await run(...flags)).stdout).to.contain('1 Discarded');
    expect(await depth(deadLetters)).to.deep.equal({ visible: 0, inFlight: 0 });
    expect(await depth(queue)).to.deep.equal({ visible: 0, inFlight: 0 });
  });
});

describe('the flags of the redrive', () => {
  const queue = ['--queue', 'https://sqs.eu-west-1.amazonaws.com/111122223333/intake'];

  it('only show unless they say to move, and move nothing that is not named', () => {
    expect(parseRedriveFlags(queue)).to.include({ move: false, discardEnded: false, limit: 1000 });
    expect(() => parseRedriveFlags([...queue, '--move', 'true'])).to.throw('say what to move');
    expect(parseRedriveFlags([...queue, '--move', 'true', '--all', 'true'])).to.include({
      move: true,
      selection: 'All',
    });
  });

  it('are refused by name where they contradict each other or are none', () => {
    const wrong: readonly (readonly [readonly string[], string])[] = [
      [[], '--queue is missing'],
      [['--queue', 'intake'], '--queue intake'],
      [[...queue, '--move', 'yes'], '--move yes'],
      [[...queue, '--all', 'true', '--order', 'a'], '--all true'],
      [[...queue, '--discard-ended', 'true'], '--discard-ended true'],
      [[...queue, '--revive', 'true'], '--revive true'],
      [[...queue, '--all', 'true', '--move', 'true', '--discard-ended', 'true', '--revive', 'true'], '--revive true'],
      [[...queue, '--limit', '0'], '--limit 0'],
    ];
    for (const [args, message] of wrong) expect(() => parseRedriveFlags(args), message).to.throw(message);
  });
});
