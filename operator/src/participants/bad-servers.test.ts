import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect } from 'chai';
import type { Answer } from '../saga/types.ts';
import { type HttpParticipant, httpParticipant } from './http.ts';
import { configOf, effectOf, patient, runOf, TEST_TOKEN, testTokens } from './testing/commands.ts';
import { answerJson, type LocalServer, localServer, until } from './testing/local-server.ts';

type Unknown = Extract<Answer, { type: 'Unknown' }>;

/** What a participant may meet in place of a service that keeps the contract: each ends as an answer, in time, and leaves nothing behind. */
describe('httpParticipant against bad servers', () => {
  let server: LocalServer;
  let participant: HttpParticipant | undefined;
  const open = (url: string, over: Parameters<typeof configOf>[1] = {}): HttpParticipant => {
    participant = httpParticipant({ name: 'inventory', config: configOf(url, over), tokens: testTokens });
    return participant;
  };
  const send = (timeout = 60_000, orderId = 'o-1'): Promise<Answer> =>
    participant!.send(runOf(orderId), effectOf(orderId, { timeout }), patient());
  const sendUnknown = async (timeout?: number): Promise<Unknown> => {
    const answer = await send(timeout);
    if (answer.type !== 'Unknown') throw new Error(`expected Unknown, got ${JSON.stringify(answer)}`);
    expect(answer.message).to.include('/saga/reserve-stock').and.not.include(TEST_TOKEN);
    return answer;
  };

  beforeEach(async () => {
    server = await localServer((_, response) => answerJson(response, 200, {}));
  });
  afterEach(async () => {
    await participant?.close();
    participant = undefined;
    await server.close();
  });

  it('an HTML page with status 200', async () => {
    server.behave((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>'));
    open(server.url);
    expect((await sendUnknown()).reason).to.equal('Html');
  });

  it('a text with status 200', async () => {
    server.behave((_, response) => response.writeHead(200, { 'content-type': 'text/plain' }).end('done'));
    open(server.url);
    expect((await sendUnknown()).reason).to.equal('WrongContentType');
  });

  it('what is no JSON, though it says so', async () => {
    server.behave((_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('done'));
    open(server.url);
    expect((await sendUnknown()).reason).to.equal('NotJson');
  });

  it('a status 500 whose page quotes the request', async () => {
    server.behave((request, response) =>
      answerJson(response, 500, { detail: `cannot: ${JSON.stringify(request.headers)}` }),
    );
    open(server.url);
    expect((await sendUnknown()).reason).to.equal('HttpStatus500');
  });

  it('an answer of 10 MB, of which it takes no more than the limit', async () => {
    const chunk = Buffer.alloc(65_536, 0x20);
    let taken = 0;
    const chunks = function* () {
      for (let i = 0; i < 160; i++) {
        taken += chunk.length;
        yield chunk;
      }
    };
    server.behave((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      // No faster than it is read: else all is written before a slow machine tells that the connection is closed.
      pipeline(Readable.from(chunks()), response).catch(() => undefined);
    });
    open(server.url, { maxAnswerBytes: 4096 });
    const { reason, message } = await sendUnknown();
    expect(reason).to.equal('AnswerTooLarge');
    expect(message).to.include('4096 bytes');
    await until(() => server.sockets.size === 0, 'the connection is closed');
    expect(taken).to.be.lessThan(160 * chunk.length);
  });

  it('a length of 10 MB announced, which it does not wait for', async () => {
    server.behave((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '10000000' });
      response.flushHeaders();
    });
    open(server.url);
    expect((await sendUnknown()).reason).to.equal('AnswerTooLarge');
  });

  it('an error page of 10 MB, whose status still counts', async () => {
    server.behave((_, response) =>
      response.writeHead(503, { 'content-type': 'text/plain' }).end(Buffer.alloc(10_000_000, 0x61)),
    );
    open(server.url);
    expect((await sendUnknown()).reason).to.equal('HttpStatus503');
  });

  it('an answer that trickles for ever', async () => {
    const timers = new Set<NodeJS.Timeout>();
    server.behave((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => response.write(' '), 5);
      timers.add(timer);
      response.on('close', () => clearInterval(timer));
    });
    open(server.url);
    expect((await sendUnknown(300)).reason).to.equal('Timeout');
    await until(() => server.sockets.size === 0, 'the connection is closed');
    for (const timer of timers) clearInterval(timer);
  });

  it('an answer in single bytes, which is put together again', async () => {
    const text = JSON.stringify({ reservationId: 'r-17' });
    server.behave(async (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.socket?.setNoDelay(true);
      for (const byte of text) {
        response.write(byte);
        await new Promise(setImmediate);
      }
      response.end();
    });
    open(server.url);
    expect(await send()).to.deep.equal({ type: 'Success', output: { reservationId: 'r-17' } });
  });

  it('a connection that is reset within the answer', async () => {
    server.behave((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{"reservationId":', () => response.socket?.resetAndDestroy());
    });
    open(server.url);
    const { reason, message } = await sendUnknown();
    expect(reason).to.equal('AnswerCutOff');
    expect(message).to.include('200');
  });

  it('a chunked answer that ends before its last chunk, though what came is JSON', async () => {
    server.behave((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"reservationId":"r-1"}', () => response.socket?.destroy());
    });
    open(server.url);
    expect((await sendUnknown()).reason).to.equal('AnswerCutOff');
  });

  it('a connection that is reset before the answer', async () => {
    server.behave((_, response) => void response.socket?.resetAndDestroy());
    open(server.url);
    expect((await sendUnknown()).reason).to.equal('ConnectionReset');
  });

  it('a server that never answers', async () => {
    server.behave(() => {});
    open(server.url);
    const { reason, message } = await sendUnknown(300);
    expect(reason).to.equal('Timeout');
    expect(message).to.match(/of 300 ms/);
    await until(() => server.sockets.size === 0, 'the connection is closed');
  });

  it('a port where nobody listens', async () => {
    const gone = await localServer(() => {});
    await gone.close();
    open(gone.url);
    const { reason, message } = await sendUnknown();
    expect(reason).to.equal('ConnectionRefused');
    expect(message).to.include('does the service run');
  });

  it('a name that nobody knows', async () => {
    // RFC 6761: names under .invalid never resolve.
    open('http://inventory.invalid:8080');
    const { reason, message } = await sendUnknown();
    expect(reason).to.equal('NotResolved');
    expect(message).to.include('inventory.invalid');
  });

  it('a redirect, which it does not follow', async () => {
    const elsewhere = await localServer((_, response) => answerJson(response, 200, {}));
    server.behave((_, response) => response.writeHead(307, { location: `${elsewhere.url}/saga/reserve-stock` }).end());
    open(server.url);
    expect((await sendUnknown()).reason).to.equal('HttpStatus307');
    expect(elsewhere.received).to.have.length(0);
    await elsewhere.close();
  });

  it('one that closes each connection after its answer', async () => {
    server.behave((_, response) => answerJson(response, 200, { n: 1 }, { connection: 'close' }));
    open(server.url, { maxInFlight: 1 });
    for (let i = 0; i < 5; i++) expect(await send()).to.have.property('type', 'Success');
    expect(new Set(server.received.map(({ connection }) => connection)).size).to.equal(5);
  });

  it('one that closes idle connections without a word', async () => {
    open(server.url, { maxInFlight: 1 });
    for (let i = 0; i < 3; i++) {
      expect(await send()).to.have.property('type', 'Success');
      for (const socket of server.sockets) socket.end();
      await until(() => server.sockets.size === 0, 'the connection is closed');
    }
  });

  it('gives every place back, whatever happened on it', async () => {
    open(server.url, { maxInFlight: 2 });
    const behaviours: Parameters<LocalServer['behave']>[0][] = [
      () => {},
      (_, response) => void response.socket?.resetAndDestroy(),
      (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(Buffer.alloc(1_000_000)),
    ];
    for (const behaviour of behaviours) {
      server.behave(behaviour);
      await Promise.all([1, 2, 3, 4].map((i) => send(200, `o-${i}`)));
    }
    server.behave((_, response) => answerJson(response, 200, {}));
    const answers = await Promise.all([5, 6, 7, 8].map((i) => send(60_000, `o-${i}`)));
    expect(answers.map(({ type }) => type)).to.deep.equal(Array(4).fill('Success'));
  });
});

describe('httpParticipant against what is no HTTP server', () => {
  const withTcp = async (
    onSocket: (socket: Socket) => unknown,
    test: (url: string) => Promise<unknown>,
  ): Promise<void> => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      onSocket(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      await test(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    } finally {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    }
  };
  const reasonOf = async (url: string, timeout: number): Promise<string> => {
    const participant = httpParticipant({ name: 'inventory', config: configOf(url), tokens: testTokens });
    try {
      const answer = await participant.send(runOf('o-1'), effectOf('o-1', { timeout }), patient());
      return answer.type === 'Unknown' ? answer.reason : answer.type;
    } finally {
      await participant.close();
    }
  };

  it('something that speaks another protocol', () =>
    withTcp(
      (socket) => socket.once('data', () => socket.write('500 what?\r\n')),
      async (url) => expect(await reasonOf(url, 60_000)).to.equal('NotHttp'),
    ));

  it('headers that come a byte at a time, for ever', () =>
    withTcp(
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\nx: ');
        const timer = setInterval(() => socket.write('y'), 5);
        socket.on('close', () => clearInterval(timer));
      },
      async (url) => expect(await reasonOf(url, 300)).to.equal('Timeout'),
    ));

  it('headers without end', () =>
    withTcp(
      (socket) => socket.write(`HTTP/1.1 200 OK\r\n${`x: ${'y'.repeat(1000)}\r\n`.repeat(100)}`),
      async (url) => expect(await reasonOf(url, 60_000)).to.equal('HeadersTooLarge'),
    ));

  it('a connection that is taken and closed at once', () =>
    withTcp(
      (socket) => socket.once('data', () => socket.end()),
      async (url) => expect(await reasonOf(url, 60_000)).to.equal('ConnectionReset'),
    ));
});
