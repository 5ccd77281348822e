import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Program } from '@mercato/kit/testing/program.ts';
import { expect } from 'chai';
import { sagaEvent } from './testing/bench.ts';
import { Intake } from './testing/intake.ts';
import { request } from './testing/samples.ts';

const MAIN = new URL('./main.ts', import.meta.url);

describe('the order service, as a process', function () {
  this.timeout(180_000);
  let folder: string;
  let intake: Intake;
  const running: Program[] = [];
  const intakes: Intake[] = [];

  async function start(env: Record<string, string> = {}): Promise<Program> {
    const settings = {
      PORT: '0',
      DATA_DIR: folder,
      MERCATO_INSECURE_NO_AUTH: 'true',
      MERCATO_NAMESPACE: 'shop',
      MERCATO_INTAKE_URL: intake.url,
      ...env,
    };
    const program = await Program.start(MAIN, settings);
    running.push(program);
    return program;
  }
  async function hear(): Promise<Intake> {
    const started = await Intake.start();
    intakes.push(started);
    return started;
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mercato-order-'));
    intake = await hear();
  });
  afterEach(async () => {
    for (const program of running.splice(0)) await program.end('SIGKILL');
    for (const each of intakes.splice(0)) await each.close();
    await rm(folder, { recursive: true });
  });

  async function place({ url }: Program, key: string): Promise<{ status: number; id: string }> {
    const response = await fetch(`${url}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(request()),
    });
    const { id = '' } = (await response.json()) as { id?: string };
    return { status: response.status, id };
  }

  /** Waits until this holds, for a minute at most. */
  async function until(holds: () => boolean, why: () => string): Promise<void> {
    for (const deadline = Date.now() + 60_000; !holds(); ) {
      if (Date.now() > deadline) throw new Error(why());
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  const heard = (events: readonly string[], by = intake) =>
    until(
      () => events.every((event) => by.known.includes(event)),
      () => `not heard: ${events.filter((event) => !by.known.includes(event)).join(', ')}: ${running.at(-1)?.output}`,
    );

  it('loses nothing and sends nothing else when it is killed between commit and relay', async () => {
    intake.answer = (response) => void response.writeHead(503).end();
    const first = await start();
    const placed = await Promise.all(Array.from({ length: 20 }, (_, i) => place(first, `key-${i}`)));
    expect(placed.map(({ status }) => status)).to.deep.equal(Array(20).fill(201));
    await first.end('SIGKILL');
    intake.got.splice(0);
    intake.answer = (response) => void response.writeHead(204).end();

    const second = await start();
    const expected = placed.map(({ id }) => `placed ${id}`);
    await heard(expected);
    // The same keys again: the clients do not know whether their answers were of this life.
    const again = await Promise.all(Array.from({ length: 20 }, (_, i) => place(second, `key-${i}`)));
    expect(again).to.deep.equal(placed);
    const last = await place(second, 'one-more');
    await heard([`placed ${last.id}`]);
    expect(intake.known.sort()).to.deep.equal([...expected, `placed ${last.id}`].sort());
    expect(await second.end('SIGTERM')).to.equal(0);
  });

  it('sends the same again, under the same ids, when it is killed before the answer', async () => {
    intake.answer = () => {};
    const first = await start();
    const { id } = await place(first, 'k');
    await heard([`placed ${id}`]);
    await first.end('SIGKILL');
    const before = structuredClone(intake.got);
    intake.answer = (response) => void response.writeHead(204).end();
    await start();
    await until(
      () => intake.got.length > before.length,
      () => 'nothing was sent again',
    );
    expect(intake.got.at(-1)).to.deep.equal(before[0]);
    expect(intake.known).to.deep.equal([`placed ${id}`]);
  });

  it('has every order that it answered, and none twice, when it is killed under load', async () => {
    const first = await start();
    const answered = new Map<string, string>();
    const clients = Array.from({ length: 16 }, async (_, client) => {
      for (let i = 0; ; i++) {
        const key = `${client}-${i}`;
        const answer = await place(first, key).catch(() => undefined);
        if (answer === undefined) return key;
        expect(answer.status).to.equal(201);
        answered.set(key, answer.id);
      }
    });
    await until(
      () => answered.size > 150,
      () => `${answered.size} answered`,
    );
    await first.end('SIGKILL');
    const unsure = await Promise.all(clients);

    const second = await start();
    for (const [key, id] of answered) expect((await place(second, key)).id, key).to.equal(id);
    for (const key of unsure) answered.set(key, (await place(second, key)).id);
    const expected = [...answered.values()].map((id) => `placed ${id}`).sort();
    await heard(expected);
    expect(intake.known.sort(), 'each key has one order').to.deep.equal(expected);
    const page = await (await fetch(`${second.url}/orders?customer=customer-1&limit=100`)).text();
    expect(page).to.contain('next');
  });

  it('tells the operator of orders and subscribers of their ends, and prints no token', async () => {
    const mailer = await hear();
    const { url } = await start({ MERCATO_EVENT_SUBSCRIBERS: mailer.url, MERCATO_EVENT_SENDERS: 'anonymous' });
    const { id } = await place({ url } as Program, 'k');
    await fetch(`${url}/orders/${id}/cancel`, { method: 'POST' });
    const response = await fetch(`${url}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/cloudevents+json' },
      body: JSON.stringify(sagaEvent(id, 1, 'compensated', { reason: 'Cancelled' })),
    });
    expect(response.status).to.equal(200);
    await heard([`placed ${id}`, `cancel-requested ${id}`]);
    await heard([`cancelled ${id}`], mailer);
    expect(mailer.known).to.deep.equal([`cancelled ${id}`]);
    expect(intake.known).to.deep.equal([`placed ${id}`, `cancel-requested ${id}`]);
    expect(intake.got[0]?.data).to.deep.equal(request());
    expect(running[0]?.output).to.contain('listening').and.not.contain('tok_');
    // What was heard is taken off the outbox a moment later.
    const empty = `mercato_outbox_backlog{subscriber="${intake.url}",service="order"} 0`;
    let page = '';
    for (const deadline = Date.now() + 60_000; !page.includes(empty) && Date.now() < deadline; )
      page = await (await fetch(`${url}/metrics`)).text();
    expect(page).to.contain(empty);
  });

  const wrong: [string, Record<string, string>, string][] = [
    ['no intake', { MERCATO_INTAKE_URL: '' }, 'MERCATO_INTAKE_URL is not set'],
    [
      'two intakes',
      { MERCATO_INTAKE_URL: 'http://a/events,http://b/events' },
      'MERCATO_INTAKE_URL must be one address',
    ],
    ['another kind of store', { MERCATO_ORDERS: 'mysql' }, 'MERCATO_ORDERS must be sqlite or dynamodb'],
    ['a topic that is none', { MERCATO_ANNOUNCEMENTS_TOPIC: 'orders' }, 'MERCATO_ANNOUNCEMENTS_TOPIC'],
    ['a queue that is none', { MERCATO_EVENT_QUEUE: 'orders' }, 'MERCATO_EVENT_QUEUE'],
    ['a bus that is none', { MERCATO_EVENT_BUS: 'arn:aws:sns:x' }, 'MERCATO_EVENT_BUS'],
    ['no namespace', { MERCATO_NAMESPACE: 'My Shop' }, 'MERCATO_NAMESPACE must be a lower-case DNS label'],
    ['a currency that is none', { MERCATO_CURRENCIES: 'GBP,euro' }, 'MERCATO_CURRENCIES: '],
    ['orders forgotten before keys', { MERCATO_ORDER_RETENTION: '1d' }, 'MERCATO_ORDER_RETENTION must not be shorter'],
  ];
  for (const [what, env, said] of wrong)
    it(`does not start with ${what}, and says which variable is wrong`, async () => {
      const message = await start(env).then(
        () => 'it started',
        (error: Error) => error.message,
      );
      expect(message).to.include('ended with 2').and.include(said);
    });
});
