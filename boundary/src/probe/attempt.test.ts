import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { attempt, tryAll } from './attempt.ts';
import { formatReport, MAX_WAYS, type ProbeWay, parseReport, TASK_VARIABLE, type WayReport } from './way.ts';

/** More than a machine may be busy with something else: what waits for an answer that comes must not give up before. */
const PATIENCE_MS = 30_000;

const tcp = (port: number, id = '0'): ProbeWay => ({ id, host: '127.0.0.1', port, protocol: 'TCP' });
const udp = (port: number): ProbeWay => ({ id: '0', host: '127.0.0.1', port, protocol: 'UDP' });

/** A TCP server on a free port. */
async function listening(): Promise<{ port: number; connections: () => number; close: () => Promise<void> }> {
  let connections = 0;
  const server = createServer(() => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    close: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

/** A port of the loopback on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = await listening();
  await server.close();
  return server.port;
}

describe('A probe', function () {
  this.timeout(2 * PATIENCE_MS);

  it('tells a port that is open from one that refuses', async () => {
    const server = await listening();
    expect(await attempt(tcp(server.port), PATIENCE_MS)).to.equal('opened');
    await server.close();
    expect(await attempt(tcp(server.port), PATIENCE_MS)).to.equal('refused');
  });

  it('asks a DNS server over UDP, and tells silence from refusal', async () => {
    const socket = createSocket('udp4');
    let answers = false;
    socket.on('message', (question, { port, address }) => {
      expect(question.readUInt16BE(4), 'questions').to.equal(1);
      if (answers) socket.send(question, port, address);
    });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    expect(await attempt(udp(port), 50)).to.equal('timed out');
    answers = true;
    expect(await attempt(udp(port), PATIENCE_MS)).to.equal('opened');
    socket.close();
    await once(socket, 'close');
    expect(await attempt(udp(port), PATIENCE_MS)).to.equal('refused');
  });

  it('tells where its own network has no way', async () => {
    expect(await attempt({ id: '0', host: '255.255.255.255', port: 80, protocol: 'TCP' }, PATIENCE_MS)).to.equal(
      'unreachable',
    );
  });

  it('tries each way again until its time is over, and says when it was last open', async () => {
    const server = await listening();
    const refusing = await closedPort();
    // Each look at the clock is a while later: twelve in all, two for each attempt.
    let time = 0;
    const now = () => ++time;
    const ways = [tcp(server.port, 'open'), tcp(refusing, 'closed')];
    const [open, closed] = await tryAll({ ways, lastsMs: 12, timeoutMs: PATIENCE_MS }, now);
    expect(open).to.include({ id: 'open', refused: 0, unreachable: 0, timedOut: 0 });
    expect(open?.opened).to.be.at.least(2).and.to.equal(server.connections());
    expect(open?.lastOpenedMs).to.equal(open?.lastMs);
    expect(closed).to.include({ id: 'closed', opened: 0, lastOpenedMs: -1 });
    expect(closed?.refused).to.be.at.least(2);
    await server.close();
  });

  it('as a program leaves its report where the kubelet reads it', async () => {
    const server = await listening();
    const file = join(await mkdtemp(join(tmpdir(), 'mercato-probe-')), 'message');
    const main = fileURLToPath(new URL('./main.ts', import.meta.url));
    const task = { ways: [tcp(server.port, 'a')], lastsMs: 1, timeoutMs: PATIENCE_MS };
    const env = { ...process.env, [TASK_VARIABLE]: JSON.stringify(task), MERCATO_TERMINATION_LOG: file };
    await promisify(execFile)(process.execPath, [main], { env });
    expect(parseReport(await readFile(file, 'utf8'))?.[0]).to.include({ id: 'a', opened: 1 });
    await server.close();
  });
});

describe('The report of a probe', () => {
  const report = (id: string): WayReport => ({
    id,
    opened: 100,
    refused: 100,
    unreachable: 100,
    timedOut: 100,
    lastOpenedMs: 60_000,
    lastMs: 60_000,
  });

  it('fits into a termination message, whatever it says', () => {
    const reports = Array.from({ length: MAX_WAYS }, (_, index) => report(`w${index}`));
    const text = formatReport(reports);
    expect(Buffer.byteLength(text)).to.be.below(4_096);
    expect(parseReport(text)).to.deep.equal(reports);
  });

  for (const text of ['', 'null', '{}', '{"ways":[[1]]}', '{"ways":[["a",1,1,1,1,1,"x"]]}', 'Error: it broke']) {
    it(`is not made out in ${JSON.stringify(text)}`, () => {
      expect(parseReport(text)).to.equal(undefined);
    });
  }
});
