import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SQSClientConfig } from '@aws-sdk/client-sqs';
import { expect } from 'chai';
import { JwksTokenCheck, type TokenCheck } from './auth/tokens.ts';
import { VirtualClock } from './clock.ts';
import { maxBatchBytes, maxBatchItems, maxCommandBytes } from './http/saga.ts';
import type { JsonObject } from './json.ts';
import type { CommandQueue } from './queue/consumer.ts';
import type { RunningService } from './service.ts';
import { type Received, type Sent, TestClient } from './testing/client.ts';
import { TestIssuer, testAudience, testSubject } from './testing/issuer.ts';
import { QueueClient, testQueues } from './testing/queue-client.ts';
import { after as afterwards, days, instant, minutes, toRfc3339 } from './units.ts';

/** What a participant gets from the suite. */
export interface ConformancePorts {
  /** The same one again after a restart: what must survive is in there. */
  readonly dataDir: string;
  readonly clock: VirtualClock;
  readonly tokens: TokenCheck;
  /** For startService; absent where the suite runs without SQS. */
  readonly commandQueue?: CommandQueue;
}

/** What the suite may use beside HTTP. */
export interface ConformanceOptions {
  /** Where SQS is, to run over queues too. @default not */
  readonly sqs?: () => Promise<{ readonly client: SQSClientConfig }>;
}

/** How the suite drives one action of a participant, with its compensation if it has one. */
export interface ConformanceSubject {
  /** Starts the participant, with a key retention of 35 days. */
  start(ports: ConformancePorts): Promise<RunningService>;
  /** Puts in place what the action needs (stock, a card). Called once per test, after the start. */
  prepare?(client: TestClient): Promise<void>;
  /** The action, and a body with which it succeeds. Bodies may depend on what earlier steps of the order answered. */
  readonly action: string;
  body(client: TestClient, orderId: string): Promise<JsonObject> | JsonObject;
  /** Another good body, with another fingerprint. */
  otherBody(client: TestClient, orderId: string): Promise<JsonObject> | JsonObject;
  /** A body that the schema refuses. */
  readonly badBody: JsonObject;
  readonly compensation?: string;
  /** The action answers 202 at first, and is asked again until it is done. @default false */
  readonly accepts?: boolean;
  /** A business failure that something can be done about. */
  readonly failing?: {
    body(client: TestClient, orderId: string): Promise<JsonObject> | JsonObject;
    readonly reason: string;
    /** From now on the same body succeeds. */
    repair(client: TestClient): Promise<void>;
  };
  /** How many effects of the order's action are in place, as told by something other than the participant's own records. */
  effects(client: TestClient, orderId: string): Promise<number>;
}

type Send = (client: TestClient, sent: Sent) => Promise<Received>;

const single: Send = (client, sent) => client.single(sent);
const batch: Send = async (client, sent) => (await client.batch([sent]))[0]!;

/** As the engine: repeats the same key for as long as the answer is 202. */
const patient =
  (send: Send): Send =>
  (client, sent) =>
    until(
      (answer) => answer.status !== 202,
      () => send(client, sent),
    );

/** One running participant, restartable on its own directory. */
class Bench {
  readonly clock = new VirtualClock(instant(Date.UTC(2026, 10, 22, 12)));
  readonly begun = toRfc3339(this.clock.now());
  readonly #subject: ConformanceSubject;
  #dataDir = '';
  #service: RunningService | undefined;
  issuer!: TestIssuer;
  client!: TestClient;
  #commandQueue: CommandQueue | undefined;
  #overQueue: QueueClient | undefined;

  constructor(subject: ConformanceSubject) {
    this.#subject = subject;
  }

  /** @param sqs commands come over a queue too */
  async open(sqs?: SQSClientConfig): Promise<void> {
    this.#commandQueue = sqs === undefined ? undefined : await testQueues(sqs);
    this.#dataDir = await mkdtemp(join(tmpdir(), 'mercato-conformance-'));
    this.issuer = await TestIssuer.start(this.clock);
    await this.#start();
    await this.#subject.prepare?.(this.client);
  }

  get overQueue(): QueueClient {
    return this.#overQueue!;
  }

  async restart(): Promise<void> {
    await this.#stop();
    await this.#start();
  }

  async close(): Promise<void> {
    await this.#stop();
    await this.issuer.close();
    await rm(this.#dataDir, { recursive: true });
  }

  async #start(): Promise<void> {
    const tokens = new JwksTokenCheck({
      issuer: this.issuer.issuer,
      audience: testAudience,
      jwksUrl: this.issuer.jwksUrl,
      allowedSubjects: [testSubject],
      clock: this.clock,
    });
    const ports = { dataDir: this.#dataDir, clock: this.clock, tokens };
    const commandQueue = this.#commandQueue;
    this.#service = await this.#subject.start(commandQueue === undefined ? ports : { ...ports, commandQueue });
    const token = await this.issuer.mint({ lifetime: 100 * 86_400 });
    this.client = new TestClient(this.#service.url, token, this.begun);
    if (commandQueue !== undefined) this.#overQueue = await QueueClient.open(commandQueue, token, this.begun);
  }

  async #stop(): Promise<void> {
    await this.client.close();
    await this.#overQueue?.close();
    await this.#service?.close();
  }
}

/**
 * The mocha suite that every participant passes (docs/reference/participant-contract.md), over real HTTP, over batch and, where there is SQS, over
 * queues, with really signed tokens. Nothing in it knows what the action does.
 */
export function describeParticipant(name: string, subject: ConformanceSubject, { sqs }: ConformanceOptions = {}): void {
  describe(`${name} keeps the participant contract`, () => {
    let bench: Bench;
    const over = (transport: string, open: () => Promise<void>, suites: () => void) =>
      describe(transport, () => {
        beforeEach(async () => {
          bench = new Bench(subject);
          await open();
        });
        afterEach(() => bench.close());
        suites();
      });
    const promises = (once: Send) => () => {
      const send = patient(once);
      if (subject.accepts === true) polling(subject, () => bench, once);
      repeats(subject, () => bench, send);
      epochs(subject, () => bench, send);
      if (subject.compensation !== undefined) compensations(subject, subject.compensation, () => bench, send);
      retention(subject, () => bench, send);
      badRequests(subject, () => bench, send);
    };
    over('over HTTP', () => bench.open(), promises(single));
    over('over batch', () => bench.open(), promises(batch));
    over(
      'at its door',
      () => bench.open(),
      () => {
        limits(subject, () => bench);
        tokens(subject, () => bench);
      },
    );
    if (sqs === undefined) return;
    describe('with a queue', function () {
      // The first one waits for the emulator, which alone may take a minute to start.
      this.timeout(120_000);
      const open = async () => bench.open((await sqs()).client);
      over(
        'over SQS',
        open,
        promises((client, sent) => bench.overQueue.send(sent, client.key(sent))),
      );
      over('at the door of its queue', open, () => queueDoor(subject, () => bench));
    });
  });
}

function polling(subject: ConformanceSubject, bench: () => Bench, send: Send): void {
  it('answers 202 and when to ask again, until the same key is answered for good', async () => {
    const { client } = bench();
    const sent = { command: subject.action, orderId: 'order-1', body: await subject.body(client, 'order-1') };
    const first = await send(client, sent);
    expect(first.status).to.equal(202);
    expect(first.retryAfter).to.be.greaterThan(0);
    await bench().restart();
    const final = await patient(send)(bench().client, sent);
    expect(final.status, JSON.stringify(final.body)).to.equal(200);
    expect(await send(bench().client, sent)).to.deep.equal(final);
    expect(await subject.effects(bench().client, 'order-1')).to.equal(1);
  });
}

function repeats(subject: ConformanceSubject, bench: () => Bench, send: Send): void {
  it('answers a repeat as it did, with one effect', async () => {
    const { client } = bench();
    const sent = { command: subject.action, orderId: 'order-1', body: await subject.body(client, 'order-1') };
    const first = await send(client, sent);
    expect(first.status, JSON.stringify(first.body)).to.equal(200);
    expect(await send(client, sent)).to.deep.equal(first);
    expect(await subject.effects(client, 'order-1')).to.equal(1);
  });

  it('answers a repeat whose members are in another order', async () => {
    const { client } = bench();
    const body = await subject.body(client, 'order-1');
    const reversed = Object.fromEntries(Object.entries(body).reverse());
    const first = await send(client, { command: subject.action, orderId: 'order-1', body });
    expect(await send(client, { command: subject.action, orderId: 'order-1', body: reversed })).to.deep.equal(first);
  });

  it('carries out one of several racing copies', async () => {
    const { client } = bench();
    const sent = { command: subject.action, orderId: 'order-1', body: await subject.body(client, 'order-1') };
    const answers = await Promise.all(Array.from({ length: 8 }, () => send(client, sent)));
    const final = await settled(() => send(client, sent));
    for (const answer of answers) {
      if (answer.status === 425) expect(answer.retryAfter).to.be.greaterThan(0);
      else expect(answer).to.deep.equal(final);
    }
    expect(final.status).to.equal(200);
    expect(await subject.effects(client, 'order-1')).to.equal(1);
  });

  it('refuses another body under the key', async () => {
    const { client } = bench();
    await send(client, { command: subject.action, orderId: 'order-1', body: await subject.body(client, 'order-1') });
    const other = await subject.otherBody(client, 'order-1');
    for (const epoch of [1, 2]) {
      const answer = await send(client, { command: subject.action, orderId: 'order-1', epoch, body: other });
      expect(answer.status).to.equal(409);
      expect(answer.body['reason']).to.equal('FingerprintMismatch');
    }
    expect(await subject.effects(client, 'order-1')).to.equal(1);
  });

  it('remembers over a restart', async () => {
    const body = await subject.body(bench().client, 'order-1');
    const first = await send(bench().client, { command: subject.action, orderId: 'order-1', body });
    await bench().restart();
    const { client } = bench();
    expect(await send(client, { command: subject.action, orderId: 'order-1', body })).to.deep.equal(first);
    expect(await subject.effects(client, 'order-1')).to.equal(1);
  });

  it('keeps an output within 1 KiB', async () => {
    const { client } = bench();
    const { body } = await send(client, {
      command: subject.action,
      orderId: 'order-1',
      body: await subject.body(client, 'order-1'),
    });
    expect(Buffer.byteLength(JSON.stringify(body))).to.be.at.most(1024);
  });
}

function epochs(subject: ConformanceSubject, bench: () => Bench, send: Send): void {
  it('answers a success under any epoch, higher or lower', async () => {
    const { client } = bench();
    const body = await subject.body(client, 'order-1');
    const first = await send(client, { command: subject.action, orderId: 'order-1', epoch: 2, body });
    expect(first.status).to.equal(200);
    for (const epoch of [3, 1])
      expect(await send(client, { command: subject.action, orderId: 'order-1', epoch, body })).to.deep.equal(first);
    expect(await subject.effects(client, 'order-1')).to.equal(1);
  });

  const { failing } = subject;
  if (failing === undefined) return;

  it('replays a stored business failure although the cause is gone', async () => {
    const { client } = bench();
    const sent = { command: subject.action, orderId: 'order-1', body: await failing.body(client, 'order-1') };
    const first = await send(client, sent);
    expect(first.status, JSON.stringify(first.body)).to.equal(422);
    expect(first.body['reason']).to.equal(failing.reason);
    await failing.repair(client);
    expect(await send(client, sent)).to.deep.equal(first);
    await bench().restart();
    expect(await send(bench().client, sent)).to.deep.equal(first);
    expect(await subject.effects(bench().client, 'order-1')).to.equal(0);
  });

  it('carries out again what failed, under a higher epoch', async () => {
    const { client } = bench();
    const sent = { command: subject.action, orderId: 'order-1', body: await failing.body(client, 'order-1') };
    await send(client, sent);
    await failing.repair(client);
    const again = await send(client, { ...sent, epoch: 2 });
    expect(again.status, JSON.stringify(again.body)).to.equal(200);
    expect(await send(client, { ...sent, epoch: 1 })).to.deep.equal(again);
    expect(await subject.effects(client, 'order-1')).to.equal(1);
  });

  it('refuses a lower epoch than a stored failure has', async () => {
    const { client } = bench();
    const sent = { command: subject.action, orderId: 'order-1', body: await failing.body(client, 'order-1') };
    expect((await send(client, { ...sent, epoch: 3 })).status).to.equal(422);
    const stale = await send(client, { ...sent, epoch: 2 });
    expect(stale.status).to.equal(409);
    expect(stale.body).to.include({ reason: 'StaleEpoch', epoch: 3 });
  });
}

function compensations(subject: ConformanceSubject, compensation: string, bench: () => Bench, send: Send): void {
  const act = (client: TestClient, body: JsonObject, epoch = 1) =>
    send(client, { command: subject.action, orderId: 'order-1', epoch, body });
  const undo = (client: TestClient, body: JsonObject, epoch = 1) =>
    send(client, { command: compensation, orderId: 'order-1', kind: 'compensation', epoch, body });

  it('undoes the action, once, and answers a repeat as it did', async () => {
    const { client } = bench();
    const body = await subject.body(client, 'order-1');
    await act(client, body);
    const first = await undo(client, body);
    expect(first.status, JSON.stringify(first.body)).to.equal(200);
    expect(await subject.effects(client, 'order-1')).to.equal(0);
    expect(await undo(client, body)).to.deep.equal(first);
    await bench().restart();
    expect(await undo(bench().client, body)).to.deep.equal(first);
    expect(await subject.effects(bench().client, 'order-1')).to.equal(0);
  });

  it('carries out one of several racing compensations', async () => {
    const { client } = bench();
    const body = await subject.body(client, 'order-1');
    await act(client, body);
    await Promise.all(Array.from({ length: 8 }, () => undo(client, body)));
    expect((await settled(() => undo(client, body))).status).to.equal(200);
    expect(await subject.effects(client, 'order-1')).to.equal(0);
  });

  it('succeeds and changes nothing when the action never arrived', async () => {
    const { client } = bench();
    const body = await subject.body(client, 'order-1');
    expect((await undo(client, body)).status).to.equal(200);
    expect(await subject.effects(client, 'order-1')).to.equal(0);
  });

  it('refuses an action that arrives after its compensation, over a restart too', async () => {
    const body = await subject.body(bench().client, 'order-1');
    await undo(bench().client, body);
    for (const _ of ['before the restart', 'after it']) {
      const late = await act(bench().client, body);
      expect(late.status).to.equal(409);
      expect(late.body['reason']).to.equal('Fenced');
      expect(await subject.effects(bench().client, 'order-1')).to.equal(0);
      await bench().restart();
    }
  });

  it('leaves nothing in place when action and compensation race', async () => {
    const { client } = bench();
    const body = await subject.body(client, 'order-1');
    await Promise.all([act(client, body), undo(client, body), act(client, body)]);
    expect((await settled(() => undo(client, body))).status).to.equal(200);
    expect((await act(client, body)).body['reason']).to.equal('Fenced');
    expect(await subject.effects(client, 'order-1')).to.equal(0);
  });

  it('fences every epoch up to its own and no later one', async () => {
    const { client } = bench();
    const body = await subject.body(client, 'order-1');
    await undo(client, body, 3);
    for (const epoch of [1, 2, 3]) expect((await act(client, body, epoch)).body['reason']).to.equal('Fenced');
    expect((await act(client, body, 4)).status).to.equal(200);
    expect(await subject.effects(client, 'order-1')).to.equal(1);
    // The old compensation, delayed, does not reach the new epoch's effect.
    expect((await undo(client, body, 3)).status).to.equal(200);
    expect(await subject.effects(client, 'order-1')).to.equal(1);
    expect((await undo(client, body, 4)).status).to.equal(200);
    expect(await subject.effects(client, 'order-1')).to.equal(0);
  });

  it('does not call undone what was done under a higher epoch: an engine that lost its journal knows of a lower one', async () => {
    const { client } = bench();
    const body = await subject.body(client, 'order-1');
    expect((await act(client, body, 2)).status).to.equal(200);
    const stale = await undo(client, body, 1);
    expect(stale.status).to.equal(409);
    expect(stale.body).to.include({ reason: 'StaleEpoch', epoch: 2 });
    expect(await subject.effects(client, 'order-1')).to.equal(1);
    expect((await undo(client, body, 3)).status).to.equal(200);
    expect(await subject.effects(client, 'order-1')).to.equal(0);
  });

  it('refuses the action as fenced also when it had succeeded before', async () => {
    const { client } = bench();
    const body = await subject.body(client, 'order-1');
    await act(client, body);
    await undo(client, body);
    expect((await act(client, body)).body['reason']).to.equal('Fenced');
  });

  const { failing } = subject;
  if (failing === undefined) return;

  it('has nothing to undo after a business failure', async () => {
    const { client } = bench();
    const body = await failing.body(client, 'order-1');
    expect((await act(client, body)).status).to.equal(422);
    expect((await undo(client, body)).status).to.equal(200);
    await failing.repair(client);
    expect((await act(client, body)).body['reason']).to.equal('Fenced');
    expect(await subject.effects(client, 'order-1')).to.equal(0);
  });
}

function retention(subject: ConformanceSubject, bench: () => Bench, send: Send): void {
  it('refuses a key older than the retention of which it knows nothing', async () => {
    const body = await subject.body(bench().client, 'order-1');
    bench().clock.advance(days(36));
    const { client } = bench();
    const late = await send(client, { command: subject.action, orderId: 'order-1', body });
    expect(late.status).to.equal(410);
    expect(late.body['reason']).to.equal('KeyExpired');
    expect(await subject.effects(client, 'order-1')).to.equal(0);
  });

  it('takes a key that is nearly as old', async () => {
    const body = await subject.body(bench().client, 'order-1');
    const { client, clock } = bench();
    const begun = toRfc3339(afterwards(clock.now(), days(-34)));
    expect((await send(client, { command: subject.action, orderId: 'order-1', begun, body })).status).to.equal(200);
  });
}

function badRequests(subject: ConformanceSubject, bench: () => Bench, send: Send): void {
  it('answers 400 to a body, an epoch or a time that is none, and 404 to a command that it has not', async () => {
    const { client } = bench();
    const good = { command: subject.action, orderId: 'order-1', body: await subject.body(client, 'order-1') };
    const wrong: [number, Partial<Sent>][] = [
      [400, { body: subject.badBody }],
      [400, { body: null }],
      [400, { epoch: 0 }],
      [400, { epoch: 1.5 }],
      [400, { begun: 'yesterday' }],
      [400, { orderId: 'Not_A_Label' }],
      [400, { kind: 'compensation' }],
      [404, { command: 'do-what-nobody-does' }],
    ];
    for (const [status, change] of wrong) {
      const answer = await send(client, { ...good, ...change });
      expect(answer.status, JSON.stringify(change)).to.equal(status);
      expect(answer.body).to.include({ type: 'about:blank', status });
      expect(answer.body['detail']).to.be.a('string').that.is.not.empty;
    }
    expect(await subject.effects(client, 'order-1')).to.equal(0);
  });
}

/** Of an action that nothing speaks against. */
const firstStatus = ({ accepts }: ConformanceSubject): number => (accepts === true ? 202 : 200);

function limits(subject: ConformanceSubject, bench: () => Bench): void {
  it('answers problems as application/problem+json', async () => {
    const answer = await bench().client.single({ command: subject.action, orderId: 'order-1', body: subject.badBody });
    expect(answer.contentType).to.equal('application/problem+json');
  });

  it('refuses what is too large with 413', async () => {
    const { client } = bench();
    const filler = 'x'.repeat(maxCommandBytes);
    expect((await client.single({ command: subject.action, orderId: 'order-1', body: { filler } })).status).to.equal(
      413,
    );
    const item = {
      command: subject.action,
      key: 'k',
      epoch: 1,
      begun: '',
      body: { filler: 'x'.repeat(maxBatchBytes) },
    };
    expect((await client.call('POST', '/saga/batch', { items: [item] })).status).to.equal(413);
  });

  it('refuses a batch of too many items, of none, and of no list', async () => {
    const { client } = bench();
    for (const items of [Array.from({ length: maxBatchItems + 1 }, () => ({})), [], 'no list']) {
      expect((await client.call('POST', '/saga/batch', { items })).status).to.equal(400);
    }
  });

  it('refuses what is not JSON', async () => {
    const { client } = bench();
    expect((await client.single({ command: subject.action, orderId: 'order-1', body: '{"half' })).status).to.equal(400);
    const html = { 'content-type': 'text/html' };
    expect((await client.single({ command: subject.action, orderId: 'order-1', body: '<p>' }, html)).status).to.equal(
      415,
    );
  });

  it('answers a batch item by item, in order, the bad ones too', async () => {
    const { client } = bench();
    const answers = await client.batch([
      { command: subject.action, orderId: 'order-1', body: await subject.body(client, 'order-1') },
      { command: subject.action, orderId: 'order-2', body: subject.badBody },
      { command: 'do-what-nobody-does', orderId: 'order-3', body: {} },
    ]);
    expect(answers.map(({ status }) => status)).to.deep.equal([firstStatus(subject), 400, 404]);
  });

  it('carries out one of two copies in one batch', async () => {
    const { client } = bench();
    const sent = { command: subject.action, orderId: 'order-1', body: await subject.body(client, 'order-1') };
    const answers = await client.batch([sent, sent]);
    for (const { status } of answers) expect(status).to.be.oneOf([200, 202, 425]);
    expect((await patient(batch)(client, sent)).status).to.equal(200);
    expect(await subject.effects(client, 'order-1')).to.equal(1);
  });

  it('tells how it is, what it counts and what it takes', async () => {
    const { client } = bench();
    expect((await client.call('GET', '/health')).status).to.equal(200);
    expect((await client.call('GET', '/ready')).status).to.equal(200);
    const openapi = await client.call('GET', '/openapi.json');
    expect(openapi.body['openapi']).to.equal('3.1.0');
    expect(openapi.body['paths']).to.have.property(`/saga/${subject.action}`);
  });
}

function tokens(subject: ConformanceSubject, bench: () => Bench): void {
  it('refuses a call without a good token with 401, and of somebody else with 403', async () => {
    const { client, issuer } = bench();
    const stranger = await TestIssuer.start(bench().clock);
    const bad: [string, number, string][] = [
      ['no token', 401, ''],
      ['no bearer token', 401, 'Basic b3BlbjpzZXNhbWU='],
      ['rubbish', 401, 'Bearer rubbish'],
      ['another audience', 401, `Bearer ${await issuer.mint({ audience: 'somebody-else' })}`],
      ['another issuer', 401, `Bearer ${await issuer.mint({ issuer: 'https://elsewhere.example' })}`],
      ['expired', 401, `Bearer ${await issuer.mint({ lifetime: -60 })}`],
      ['signed by a stranger', 401, `Bearer ${await stranger.mint()}`],
      ['unsigned', 401, `Bearer ${unsigned(issuer.issuer)}`],
      ['another subject', 403, `Bearer ${await issuer.mint({ subject: 'system:serviceaccount:shop:customer' })}`],
    ];
    await stranger.close();
    const body = await subject.body(client, 'order-1');
    for (const [what, status, authorization] of bad) {
      const answer = await client.single({ command: subject.action, orderId: 'order-1', body }, { authorization });
      expect(answer.status, what).to.equal(status);
      expect((await client.call('POST', '/saga/batch', { items: [] }, { authorization })).status, what).to.equal(
        status,
      );
    }
    expect(await subject.effects(client, 'order-1')).to.equal(0);
  });

  it('refuses a token that it took before, once that has expired', async () => {
    const { client, issuer, clock } = bench();
    const authorization = `Bearer ${await issuer.mint({ lifetime: 300 })}`;
    const body = await subject.body(client, 'order-1');
    expect(
      (await client.single({ command: subject.action, orderId: 'order-1', body }, { authorization })).status,
    ).to.equal(firstStatus(subject));
    clock.advance(minutes(6));
    expect(
      (await client.single({ command: subject.action, orderId: 'order-1', body }, { authorization })).status,
    ).to.equal(401);
  });
}

function queueDoor(subject: ConformanceSubject, bench: () => Bench): void {
  it('refuses a command without a good token with 401, and of somebody else with 403', async () => {
    const { client, issuer, overQueue } = bench();
    const bad: [string, number, string][] = [
      ['no token', 401, ''],
      ['another audience', 401, `Bearer ${await issuer.mint({ audience: 'somebody-else' })}`],
      ['expired', 401, `Bearer ${await issuer.mint({ lifetime: -60 })}`],
      ['another subject', 403, `Bearer ${await issuer.mint({ subject: 'system:serviceaccount:shop:customer' })}`],
    ];
    const sent = { command: subject.action, orderId: 'order-1', body: await subject.body(client, 'order-1') };
    for (const [what, status, authorization] of bad)
      expect((await overQueue.send(sent, client.key(sent), { authorization })).status, what).to.equal(status);
    expect(await subject.effects(client, 'order-1')).to.equal(0);
  });

  it('answers what is no JSON with 400, and what is too large with 413', async () => {
    const { client, overQueue } = bench();
    expect((await overQueue.raw('{"half')).status).to.equal(400);
    const sent = { command: subject.action, orderId: 'order-1', body: { filler: 'x'.repeat(maxCommandBytes) } };
    expect((await overQueue.send(sent, client.key(sent))).status).to.equal(413);
  });

  it('sends answers only to queues of its operator, and goes on after a message that asks for another', async () => {
    const { client, overQueue } = bench();
    const sent = { command: subject.action, orderId: 'order-1', body: await subject.body(client, 'order-1') };
    let strayed = false;
    const elsewhere = { 'mercato-reply-to': `${client.url}/somebody-else` };
    void overQueue.send(sent, client.key(sent), elsewhere).then(
      () => {
        strayed = true;
      },
      () => {},
    );
    // By the time that this one is answered, the other was received.
    expect((await overQueue.send({ ...sent, command: 'do-what-nobody-does' }, client.key(sent))).status).to.equal(404);
    expect(strayed).to.equal(false);
    expect(await subject.effects(client, 'order-1')).to.equal(0);
  });
}

/** An `alg: none` token with all the right claims. */
function unsigned(issuer: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { iss: issuer, aud: [testAudience], sub: testSubject, exp: 4_102_444_800 };
  return `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.`;
}

/** Repeats until the answer is final: 425 and 202 are not. */
const settled = (ask: () => Promise<Received>): Promise<Received> =>
  until(({ status }) => status !== 425 && status !== 202, ask);

async function until(isWanted: (answer: Received) => boolean, ask: () => Promise<Received>): Promise<Received> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const answer = await ask();
    if (isWanted(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`still ${answer.status} after 15 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
