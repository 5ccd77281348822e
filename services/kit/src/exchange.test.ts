import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { type Exchanged, type HttpExchange, httpExchange } from './exchange.ts';

describe('an exchange over HTTP', () => {
  let server: Server;
  let client: HttpExchange;
  /** For who never answers only: on a busy machine, others may take longer than it waits. */
  let impatient: HttpExchange;
  let answer: (response: ServerResponse) => void;
  const seen: { headers: NodeJS.Dict<string | string[]>; body: string }[] = [];

  before(async () => {
    server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      seen.push({ headers: request.headers, body });
      answer(response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const options = { baseUrl: `http://127.0.0.1:${port}/`, maxBytes: 1_000 };
    client = httpExchange({ ...options, timeoutMs: 15_000 });
    impatient = httpExchange({ ...options, timeoutMs: 1_000 });
  });
  after(async () => {
    await client.close();
    await impatient.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const ask = (how: (response: ServerResponse) => void, by = client): Promise<Exchanged> => {
    answer = how;
    return by.exchange({ method: 'POST', path: '/x', body: { a: 1 } });
  };

  it('gives any status that has a JSON body', async () => {
    expect(await ask((response) => response.writeHead(402).end('{"no":1}'))).to.deep.equal({
      kind: 'answered',
      status: 402,
      body: { no: 1 },
    });
    expect(await ask((response) => response.writeHead(204).end())).to.include({ kind: 'answered', status: 204 });
  });

  it('sends JSON for objects, and text as it is', async () => {
    await ask((response) => response.end('{}'));
    expect(seen.at(-1)?.body).to.equal('{"a":1}');
    expect(seen.at(-1)?.headers['content-type']).to.equal('application/json');
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    await client.exchange({ method: 'POST', path: '/x', headers: form, body: 'a=1' });
    expect(seen.at(-1)?.body).to.equal('a=1');
    expect(seen.at(-1)?.headers['content-type']).to.equal(form['content-type']);
  });

  const unknown: [string, (response: ServerResponse) => void, RegExp][] = [
    ['HTML', (response) => response.writeHead(200).end('<html></html>'), /not JSON/],
    ['a body that breaks off', (response) => void response.writeHead(200).end('{"a":'), /not JSON/],
    ['a body that is too large', (response) => response.end(JSON.stringify('x'.repeat(2_000))), /too large/],
    ['a connection that is cut', (response) => response.destroy(), /Error|closed/i],
  ];
  const never: typeof unknown = [
    ['no answer', () => undefined, /Timeout/],
    [
      'an answer that trickles for ever',
      (response) => {
        const drip = setInterval(() => response.write(' '), 20);
        response.once('close', () => clearInterval(drip));
      },
      /Timeout/,
    ],
  ];
  const givesUnknown = (rows: typeof unknown, by: () => HttpExchange) => {
    for (const [what, how, detail] of rows)
      it(`gives unknown for ${what}`, async () => {
        const exchanged = await ask(how, by());
        expect(exchanged.kind).to.equal('unknown');
        if (exchanged.kind === 'unknown') expect(exchanged.detail).to.match(detail);
      });
  };
  givesUnknown(unknown, () => client);
  givesUnknown(never, () => impatient);

  it('takes an answer that came while this process stood still', async () => {
    const standing = (response: ServerResponse) => {
      response.end('{}');
      for (const until = performance.now() + 1_100; performance.now() < until; );
    };
    expect(await ask(standing, impatient)).to.include({ kind: 'answered', status: 200 });
  });

  it('gives unknown when nobody listens', async () => {
    const nobody = httpExchange({ baseUrl: 'http://127.0.0.1:1' });
    expect((await nobody.exchange({ method: 'GET', path: '/' })).kind).to.equal('unknown');
    await nobody.close();
  });
});
