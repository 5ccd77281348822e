import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { freePort } from '@mercato/controlplane/ports.ts';
import { expect } from 'chai';
import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import type { Participant } from '../../api/participant.ts';
import { conditionOf, eventually, OK, SAGA, TestCluster } from '../../testing/cluster.ts';
import { participants } from '../participant/registry.ts';

const STEP = {
  name: 'reserve',
  participant: 'odd',
  command: 'reserve',
  compensation: 'release',
  uses: ['input.total'],
  timeout: '15s',
  retry: { maxAttempts: 2, initialInterval: '20ms', maxInterval: '50ms' },
};

describe('A participant that answers badly', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let server: Server;
  let url: string;
  let answer: (response: ServerResponse) => void;
  let asked = 0;

  before(async () => {
    cluster = await TestCluster.create();
    cluster.allWell();
    server = createServer((request, response) => {
      asked += 1;
      request.resume().on('end', () => answer(response));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await apply('odd', url);
    await cluster.applySaga(holding());
    await cluster.startOperator();
  });
  after(async () => {
    await cluster.close();
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    asked = 0;
  });

  const holding = (timeout = STEP.timeout): object => ({
    onStepFailure: 'Hold',
    steps: [{ ...STEP, timeout }, ...SAGA.steps.slice(1, 2)],
  });

  /** As apply, and waits until the operator has seen it: its watch of runs may be ahead of its watch of participants. */
  async function change(to: string): Promise<void> {
    await apply('odd', to);
    await cluster.untilSeen(participants, 'odd');
  }

  async function apply(name: string, to: string): Promise<void> {
    const commands = ['reserve', 'release'].map((command) => ({ name: command, reasons: ['OutOfStock'] }));
    await cluster.apply({ kind: 'Participant', metadata: { name }, spec: { url: to, audience: name, commands } });
  }

  const send = (response: ServerResponse, status: number, type: string, body: string | Buffer): void => {
    response.writeHead(status, { 'content-type': type });
    response.end(body);
  };

  /** What becomes of a run whose first step is answered so. */
  async function heldBy(orderId: string, how: (response: ServerResponse) => void): Promise<OrderSagaRun> {
    answer = how;
    await cluster.applyRun(orderId);
    return cluster.untilPhase(orderId, 'Held');
  }

  const status = async (name: string): Promise<Participant['status']> =>
    (await cluster.client.get(participants, { namespace: cluster.namespace, name })).status;

  for (const [what, orderId, how, reason, told] of [
    ['HTML with 200', 'html', (r: ServerResponse) => send(r, 200, 'text/html', '<h1>Welcome</h1>'), /./, /Welcome/],
    ['200 that is not JSON', 'no-json', (r: ServerResponse) => send(r, 200, 'application/json', '{"a":'), /./, /JSON/],
    [
      'an answer of 10 MB',
      'large',
      (r: ServerResponse) => send(r, 200, 'application/json', Buffer.alloc(10_000_000, 0x20)),
      /TooLarge/,
      /65536|65,536|64 KiB/,
    ],
    [
      'an answer that trickles',
      'trickle',
      (r: ServerResponse) => {
        r.writeHead(200, { 'content-type': 'application/json' });
        const timer = setInterval(() => r.write(' '), 50);
        r.on('close', () => clearInterval(timer));
      },
      /Timeout/,
      /no complete answer came in time/,
    ],
    [
      'a reason that it does not declare',
      'undeclared',
      (r: ServerResponse) =>
        send(
          r,
          422,
          'application/problem+json',
          JSON.stringify({ type: 'x', title: 't', reason: 'Moody', detail: 'd' }),
        ),
      /./,
      /Moody/,
    ],
    ['a connection that it cuts', 'cut', (r: ServerResponse) => r.socket?.destroy(), /./, /./],
  ] as const) {
    it(`with ${what}: unknown, tried again, then held with what came`, async () => {
      const isSlow = orderId === 'trickle';
      if (isSlow) await cluster.changeSaga(holding('2s'));
      const run = await heldBy(orderId, how);
      if (isSlow) await cluster.changeSaga(holding());
      expect(asked).to.equal(2);
      expect(run.status).to.include({ holdReason: 'StepFailed', step: 'reserve' });
      const step = run.status?.steps?.[0];
      expect(step).to.include({ state: 'Unknown', attempts: 2 });
      expect(step?.lastError?.reason).to.match(reason);
      expect(step?.lastError?.message).to.match(told);
      expect(conditionOf(run, 'Held')?.message).to.match(/^reserve: attempt 2 of 2: /);
      // Whether it took effect is unknown: on the way back it is undone.
      answer = (response) => send(response, 200, 'application/json', '{}');
      await cluster.decide(orderId, { holdId: run.status?.holdId, do: 'Compensate' });
      await cluster.untilPhase(orderId, 'Compensated');
      expect(asked).to.equal(3);
    });
  }

  it('shows as unavailable, with its last error, and as available again', async () => {
    await heldBy('sick-1', (response) => send(response, 500, 'text/html', 'oops'));
    await heldBy('sick-2', (response) => send(response, 500, 'text/html', 'oops'));
    await eventually(
      async () => (await status('odd'))?.conditions?.find(({ type }) => type === 'Available')?.status === 'False',
      () => 'it is shown as unavailable',
    );
    const shown = await status('odd');
    expect(shown?.lastError?.reason).to.equal('HttpStatus500');
    expect(shown?.lastError?.message).to.contain('oops');
    answer = (response) => send(response, 200, 'application/json', '{}');
    await cluster.applyRun('well');
    await cluster.untilPhase('well', 'Succeeded');
    await eventually(
      async () => (await status('odd'))?.conditions?.find(({ type }) => type === 'Available')?.status === 'True',
      () => 'it is shown as available again',
    );
  });

  it('that refuses connections again and again: left alone, which costs its runs no attempt, is told, and ends by itself', async () => {
    const port = await freePort();
    await change(`http://127.0.0.1:${port}`);
    const orders = ['left-1', 'left-2', 'left-3', 'left-4', 'left-5', 'left-6', 'left-7', 'left-8'];
    for (const orderId of orders) await cluster.applyRun(orderId);
    await eventually(
      async () => /^(Open|HalfOpen)$/.test((await status('odd'))?.circuit?.state ?? ''),
      () => 'its circuit is shown as open',
    );
    const shown = await status('odd');
    const available = shown?.conditions?.find(({ type }) => type === 'Available');
    expect(available).to.include({ status: 'False' });
    expect(available?.reason).to.match(/^Circuit(Open|HalfOpen)$/);
    expect(available?.message).to.contain('ConnectionRefused');
    expect(shown?.lastError).to.include({ reason: 'ConnectionRefused' });
    const closed = { namespace: cluster.namespace, participant: 'odd', state: 'Closed' };
    expect(await cluster.metric('mercato_participant_circuit_state', closed)).to.equal(0);
    const events = async (): Promise<string> =>
      cluster.kubectl(
        'get',
        'events.events.k8s.io',
        '-o',
        'jsonpath={range .items[?(@.regarding.name=="odd")]}{.reason} {end}',
      );
    await eventually(
      async () => (await events()).includes('CircuitOpened'),
      () => 'an event tells of it',
    );

    const back = createServer((request, response) => {
      request.resume().on('end', () => send(response, 200, 'application/json', '{}'));
    });
    await new Promise<void>((resolve) => back.listen(port, '127.0.0.1', resolve));
    try {
      const ends = await Promise.all(
        orders.map((orderId) => cluster.until(orderId, ({ status: of }) => /^(Succeeded|Held)$/.test(of?.phase ?? ''))),
      );
      // Four attempts opened it, of whichever runs: at two attempts a run is held.
      expect(ends.filter(({ status: of }) => of?.phase === 'Succeeded').length).to.be.at.least(orders.length - 2);
      const attempts = ends.reduce((sum, { status: of }) => sum + (of?.steps?.[0]?.attempts ?? 0), 0);
      expect(attempts).to.be.at.most(4);
      await eventually(
        async () => (await status('odd'))?.circuit?.state === 'Closed' && (await events()).includes('CircuitClosed'),
        () => 'its circuit is shown as closed',
      );
      expect((await status('odd'))?.conditions?.find(({ type }) => type === 'Available')?.status).to.equal('True');
      expect(await cluster.metric('mercato_participant_circuit_state', closed)).to.equal(1);
    } finally {
      back.closeAllConnections();
      back.close();
    }
    await change(url);
  });

  it('that refuses connections, or has a name that does not resolve: held, and corrected while the run is in flight', async () => {
    for (const [orderId, where, told] of [
      ['refused', `http://127.0.0.1:${await freePort()}`, /ECONNREFUSED|refused/],
      ['unresolved', 'http://nowhere.invalid', /nowhere\.invalid/],
    ] as const) {
      await change(where);
      const run = await heldBy(orderId, (response) => send(response, 200, 'application/json', '{}'));
      expect(run.status?.steps?.[0]?.lastError?.message).to.match(told);
      await change(url);
      await cluster.decide(orderId, { holdId: run.status?.holdId, do: 'Retry' });
      await cluster.untilPhase(orderId, 'Succeeded');
    }
  });

  it('that is deleted in flight: the run waits at no cost, says for what, and goes on when it is back', async () => {
    answer = (response) => send(response, 202, 'application/json', '{}');
    await cluster.applyRun('orphaned');
    await eventually(
      () => asked >= 1,
      () => 'it is asked',
    );
    await cluster.kubectl('delete', 'participant', 'odd');
    const run = await cluster.until(
      'orphaned',
      (seen) => seen.status?.steps?.[0]?.lastError?.reason === 'ParticipantUnknown',
    );
    expect(run.status?.steps?.[0]).to.include({ state: 'Unknown', attempts: 0 });
    expect(run.status?.nextAction).to.contain('after ParticipantUnknown');
    expect(run.status?.steps?.[0]?.lastError?.message).to.contain('no Participant odd');
    await cluster.applyRun('newcomer');
    const waiting = await cluster.until('newcomer', (seen) => conditionOf(seen, 'Accepted')?.status === 'False');
    expect(conditionOf(waiting, 'Accepted')?.message).to.contain('participant odd, which is not in this namespace');
    answer = (response) => send(response, 200, 'application/json', '{}');
    await apply('odd', url);
    await cluster.untilPhase('orphaned', 'Succeeded');
    await cluster.untilPhase('newcomer', 'Succeeded');
  });

  for (const [code, kind] of [
    [425, 'work that another copy still does'],
    [429, 'too many requests'],
    [202, 'work that takes longer'],
  ] as const) {
    it(`with ${code}, ${kind}: costs no attempt, however often`, async () => {
      let times = 0;
      answer = (response) => {
        times += 1;
        if (times > 6) return send(response, 200, 'application/json', '{}');
        response.setHeader('retry-after', '0');
        send(response, code, 'application/json', '{}');
      };
      await cluster.applyRun(`free-${code}`);
      const run = await cluster.untilPhase(`free-${code}`, 'Succeeded');
      expect(times).to.equal(7);
      expect(run.status?.steps?.[0]).to.include({ attempts: 0, epoch: 1 });
    });
  }

  it('and goes on so beyond the deadline: the run turns back before its pivot', async () => {
    await cluster.changeSaga({ deadline: '500ms', onStepFailure: 'Compensate', steps: [STEP] });
    let undone = false;
    answer = (response) => {
      response.setHeader('retry-after', '0');
      send(response, undone ? 200 : 202, 'application/json', '{}');
    };
    await cluster.applyRun('slow');
    await cluster.untilEvent('slow', 'Compensating');
    undone = true;
    const run = await cluster.untilPhase('slow', 'Compensated');
    expect(conditionOf(run, 'Succeeded')).to.include({ status: 'False', reason: 'DeadlineExceeded' });
    expect(conditionOf(run, 'Succeeded')?.message).to.contain('the deadline of 500 ms was used up at step reserve');
  });

  it('beyond the deadline past the pivot: it is marked as overdue, and goes on', async () => {
    // Long enough that a busy machine is past the pivot before it is over.
    await cluster.changeSaga({ deadline: '4s' });
    cluster.shop.on('capture', { status: 202, retryAfter: '0' });
    await cluster.applyRun('overdue');
    const run = await cluster.until('overdue', (seen) => conditionOf(seen, 'Overdue')?.status === 'True');
    expect(run.status?.phase).to.equal('Running');
    expect((await cluster.untilEvent('overdue', 'Overdue')).type).to.equal('Warning');
    cluster.shop.on('capture', OK);
    await cluster.untilPhase('overdue', 'Succeeded');
    expect(cluster.shop.commandsOf('overdue')).not.to.include('void');
  });
});
