import { CreateQueueCommand, DeleteQueueCommand, ListQueuesCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { ClientConfig } from '@mercato/aws-emulators';
import { sharedElasticMq, sharedMiniStack } from '@mercato/aws-emulators/testing.ts';
import { expect } from 'chai';
import { sqsClient } from '../aws/sqs.ts';
import { eventually } from '../kube/testing.ts';
import { isDead } from './answer-queue.ts';
import { ParticipantConfigError, type QueueParticipantConfig } from './config.ts';
import type { Lane } from './participants.ts';
import { type SqsParticipantOptions, sqsParticipant } from './sqs.ts';
import { effectOf, patient, runOf, TEST_TOKEN, testTokens } from './testing/commands.ts';
import { type QueueBehaviour, QueueParticipant } from './testing/queue-participant.ts';

const success: QueueBehaviour = ({ item }) => ({ status: 200, body: { echo: item['key'] } });
const problem = (status: number, reason: string) => ({
  status,
  body: { type: 'about:blank', title: 'x', status, detail: 'because', reason },
});

/** How long what other programs do is waited for. */
const PATIENCE_MILLIS = 30_000;
const TRACEPARENT = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;

describe('a participant over SQS', function () {
  this.timeout(120_000);
  let config: ClientConfig;
  let client: SQSClient;
  let service: QueueParticipant;
  const lanes: Lane[] = [];

  before(async () => {
    config = (await sharedElasticMq()).client;
    client = sqsClient({ config });
  });

  beforeEach(async () => {
    service = await QueueParticipant.start(client, success);
  });

  afterEach(async () => {
    await Promise.all(lanes.splice(0).map((lane) => lane.close()));
    await service.close();
  });

  after(() => client.destroy());

  const configOf = (over: Partial<QueueParticipantConfig> = {}): QueueParticipantConfig => ({
    queue: { url: service.commands.url, answersUrl: service.answers.url },
    audience: 'inventory',
    reasons: { 'reserve-stock': ['OutOfStock'] },
    ...over,
  });

  function lane(over: Partial<QueueParticipantConfig> = {}, options: Partial<SqsParticipantOptions> = {}) {
    const made = sqsParticipant({
      name: 'inventory',
      config: configOf(over),
      tokens: testTokens,
      sqs: { config },
      ...options,
    });
    lanes.push(made);
    return made;
  }

  const send = (over: Lane, orderId: string, effect: Parameters<typeof effectOf>[1] = {}) =>
    over.send(runOf(orderId), effectOf(orderId, effect), patient());

  const answerQueues = async (of = service, by = client): Promise<string[]> => {
    const prefix = `${of.answers.url.split('/').at(-1)}-`;
    const { QueueUrls = [] } = await by.send(new ListQueuesCommand({ QueueNamePrefix: prefix }));
    return QueueUrls;
  };

  it('gets a command as an item of a batch, and what concerns its way in the attributes', async () => {
    // The queue of answers is made in that time, too.
    expect(await send(lane(), 'order-1', { traceparent: TRACEPARENT, timeout: 60_000 })).to.deep.equal({
      type: 'Success',
      output: { echo: 'shop/checkout/order-1/reserve/action' },
    });
    const [{ item, attributes }] = service.received as [(typeof service.received)[0]];
    expect(item).to.deep.include({
      command: 'reserve-stock',
      key: 'shop/checkout/order-1/reserve/action',
      epoch: 1,
      begun: '2026-11-22T12:00:00.000Z',
      traceparent: TRACEPARENT,
      body: { currency: 'GBP', lines: [{ quantity: 2, sku: 'tea', unitPrice: 450 }] },
    });
    expect(attributes).to.include({
      authorization: `Bearer ${TEST_TOKEN}`,
      traceparent: TRACEPARENT,
    });
    expect(Number(attributes['mercato-timeout'])).to.be.within(30_000, 60_000);
    expect([attributes['mercato-reply-to']]).to.deep.equal(await answerQueues());
  });

  it('has its answers read as over HTTP', async () => {
    const over = lane();
    const cases: readonly [object | string, object][] = [
      [problem(422, 'OutOfStock'), { type: 'BusinessFailure', reason: 'OutOfStock' }],
      [problem(422, 'Undeclared'), { type: 'Unknown', reason: 'ReasonNotDeclared' }],
      [problem(409, 'Fenced'), { type: 'Refused', reason: 'Fenced' }],
      [
        { status: 202, body: {}, retryAfter: 0.2 },
        { type: 'Accepted', retryAfter: 200 },
      ],
      [
        { ...problem(425, 'InFlight'), retryAfter: 0.2 },
        { type: 'NotNow', reason: 'InFlight', retryAfter: 200 },
      ],
      [problem(503, 'StoreUnavailable'), { type: 'Unknown', reason: 'HttpStatus503' }],
      ['<html>', { type: 'Unknown', reason: 'NotJson' }],
      [
        { status: 200, body: { filler: 'x'.repeat(70_000) } },
        { type: 'Unknown', reason: 'AnswerTooLarge' },
      ],
    ];
    for (const [answer, expected] of cases) {
      service.behave = () => answer;
      expect(await send(over, 'order-1'), JSON.stringify(answer).slice(0, 80)).to.deep.include(expected);
    }
  });

  it("is unknown when no answer comes in time; one that comes later is nobody else's, and a repeat is answered", async () => {
    const over = lane();
    // What makes its queue of answers has all the time that it needs.
    await send(over, 'order-0');
    service.behave = () => undefined;
    expect(await send(over, 'order-1', { timeout: 300 })).to.include({ type: 'Unknown', reason: 'Timeout' });
    const late = await eventually('it was received', () => service.received[1], PATIENCE_MILLIS);
    await service.answer(late, { status: 200, body: { late: true } });
    service.behave = success;
    expect(await send(over, 'order-1', { send: 2 })).to.deep.equal({
      type: 'Success',
      output: { echo: 'shop/checkout/order-1/reserve/action' },
    });
  });

  it('answers each of several operators what it asked', async () => {
    const [one, two] = [lane({ maxInFlight: 500 }), lane({ maxInFlight: 500 })];
    const ids = Array.from({ length: 60 }, (_, i) => `order-${i}`);
    const answers = await Promise.all(ids.map((id, i) => send(i % 2 === 0 ? one : two, id)));
    expect(answers).to.deep.equal(
      ids.map((id) => ({ type: 'Success', output: { echo: `shop/checkout/${id}/reserve/action` } })),
    );
    expect(service.received).to.have.length(60);
    expect(await answerQueues()).to.have.length(2);
  });

  it('has at most maxInFlight commands to answer, and gets the next when one is answered', async () => {
    const over = lane({ maxInFlight: 2 });
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    service.behave = async () => {
      await released;
      return { status: 200, body: {} };
    };
    const all = Promise.all(['a', 'b', 'c'].map((id) => send(over, id)));
    await eventually('two were received', () => service.received.length === 2, PATIENCE_MILLIS);
    release();
    expect((await all).map(({ type }) => type)).to.deep.equal(['Success', 'Success', 'Success']);
  });

  it('is unknown and unreachable when its queue is not there', async () => {
    const answer = await send(lane({ queue: { ...configOf().queue, url: `${service.commands.url}-gone` } }), 'order-1');
    expect(answer).to.include({ type: 'Unknown', reason: 'QueueUnreachable' });
  });

  it('is not asked without a token; a token that it refused is told of', async () => {
    const none = () => Promise.reject(new Error('no account'));
    expect(await send(lane({}, { tokens: none }), 'order-1')).to.include({ type: 'NotNow', reason: 'NoToken' });
    expect(service.received).to.deep.equal([]);
    const rejected: string[] = [];
    const tokens = Object.assign(testTokens.bind(undefined), {
      rejected: (audience: string, token: string) => void rejected.push(`${audience} ${token}`),
    });
    service.behave = () => problem(401, 'Unauthorized');
    expect(await send(lane({}, { tokens }), 'order-1')).to.include({ type: 'Unknown', reason: 'HttpStatus401' });
    expect(rejected).to.deep.equal([`inventory ${TEST_TOKEN}`]);
  });

  it('does not queue what its worker may not send any more when the token is there', async () => {
    let may = true;
    const tokens = async () => {
      may = false;
      return TEST_TOKEN;
    };
    const over = lane({}, { tokens });
    expect(await send(over, 'order-1', { mayGo: () => may })).to.include({ type: 'NotNow', reason: 'Aborted' });
    expect(await send(over, 'order-2'), 'the queue is empty but for this').to.include({ type: 'Success' });
    expect(service.received).to.have.length(1);
  });

  it('leaves no queue when it is closed, and answers what it cannot send any more', async () => {
    const over = lane();
    await send(over, 'order-1');
    expect(await answerQueues()).to.have.length(1);
    await over.close();
    expect(await answerQueues()).to.deep.equal([]);
    expect(await send(over, 'order-2')).to.include({ type: 'NotNow', reason: 'Closing' });
  });

  it('removes queues of operators that died, and no others', async () => {
    const name = service.answers.url.split('/').at(-1);
    const make = async (suffix: string, tags: Record<string, string>) =>
      (await client.send(new CreateQueueCommand({ QueueName: `${name}-${suffix}`, tags }))).QueueUrl;
    const days = (n: number) => ({ 'mercato-alive': new Date(Date.now() - n * 86_400_000).toISOString() });
    const [dead, living, others] = await Promise.all([
      make('dead', days(2)),
      make('living', days(0)),
      make('other', {}),
    ]);
    await send(lane(), 'order-1');
    const isGone = async () => !(await answerQueues()).includes(dead!);
    await eventually('the dead one is gone', isGone, PATIENCE_MILLIS);
    expect(await answerQueues())
      .to.include.members([living, others])
      .and.to.have.length(3);
    expect(isDead('no time', Date.now())).to.equal(false);
  });

  it('is not declared with what are no queues', () => {
    for (const queue of [
      { url: 'commands', answersUrl: 'https://sqs/1/answers' },
      { url: 'https://sqs/1/commands.fifo', answersUrl: 'https://sqs/1/answers' },
      { url: 'https://sqs/1/commands', answersUrl: `https://sqs/1/${'a'.repeat(68)}` },
    ])
      expect(() => lane({ queue })).to.throw(ParticipantConfigError, 'queue');
  });

  describe('of MiniStack', () => {
    let elsewhere: ClientConfig;
    let itsClient: SQSClient;
    let there: QueueParticipant;

    beforeEach(async () => {
      elsewhere = (await sharedMiniStack()).client;
      itsClient = sqsClient({ config: elsewhere });
      there = await QueueParticipant.start(itsClient, success);
    });

    afterEach(async () => {
      await there.close();
      itsClient.destroy();
    });

    const laneThere = (options: Partial<SqsParticipantOptions> = {}) =>
      lane(
        { queue: { url: there.commands.url, answersUrl: there.answers.url } },
        { sqs: { config: elsewhere }, ...options },
      );

    it('works as over ElasticMQ', async () => {
      expect(await send(laneThere(), 'order-1')).to.include({ type: 'Success' });
    });

    // Not on ElasticMQ, which leaves a receive unanswered for 21 s when its queue is removed.
    it('makes a new queue of answers when somebody removes its own', async () => {
      const noticed = Promise.withResolvers<void>();
      const onError = (error: unknown) => (error as Error).name === 'QueueDoesNotExist' && noticed.resolve();
      const over = laneThere({ wait: 1, onError });
      await send(over, 'order-1');
      const [first] = await answerQueues(there, itsClient);
      await itsClient.send(new DeleteQueueCommand({ QueueUrl: first }));
      await noticed.promise;
      expect(await send(over, 'order-1')).to.include({ type: 'Success' });
      const now = await answerQueues(there, itsClient);
      expect(now).to.have.length(1);
      expect(now).to.not.include(first);
    });
  });
});
