import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import type { Outcome, ProbeTask, ProbeWay, WayReport } from './way.ts';

/** Between two attempts on a way, in milliseconds. */
const PAUSE_MILLIS = 200;

/** Milliseconds since the process began: what it takes to load Node.js is time in which a network plugin may be open. */
const sinceStart = (): number => Math.round(performance.now());

/**
 * Tries all ways of a task at once, each again and again, and says what became of them.
 * @param now asked before each attempt and after it. @default since the process began
 */
export async function tryAll(task: ProbeTask, now = sinceStart): Promise<readonly WayReport[]> {
  return Promise.all(task.ways.map((way) => tryFor(way, task, now)));
}

async function tryFor(way: ProbeWay, { lastsMs, timeoutMs }: ProbeTask, now: () => number): Promise<WayReport> {
  const counts: Record<Outcome, number> = { opened: 0, refused: 0, unreachable: 0, 'timed out': 0 };
  let lastOpenedMs = -1;
  let lastMs: number;
  do {
    lastMs = now();
    const outcome = await attempt(way, timeoutMs);
    counts[outcome]++;
    if (outcome === 'opened') lastOpenedMs = lastMs;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLIS));
  } while (now() < lastsMs);
  const { opened, refused, unreachable } = counts;
  return { id: way.id, opened, refused, unreachable, timedOut: counts['timed out'], lastOpenedMs, lastMs };
}

/** One attempt. Sends nothing over TCP: an open connection is closed at once. */
export function attempt(way: ProbeWay, timeoutMs: number): Promise<Outcome> {
  return way.protocol === 'TCP' ? attemptTcp(way, timeoutMs) : attemptUdp(way, timeoutMs);
}

function attemptTcp({ host, port }: ProbeWay, timeoutMs: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, autoSelectFamily: false });
    const end = (outcome: Outcome) => {
      clearTimeout(late);
      socket.destroy();
      resolve(outcome);
    };
    const late = setTimeout(() => end('timed out'), timeoutMs);
    socket.once('connect', () => end('opened'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(outcomeOf(error)));
  });
}

function attemptUdp({ host, port }: ProbeWay, timeoutMs: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    const end = (outcome: Outcome) => {
      clearTimeout(late);
      socket.close();
      resolve(outcome);
    };
    const late = setTimeout(() => end('timed out'), timeoutMs);
    socket.once('message', () => end('opened'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(outcomeOf(error)));
    // Connected, so that "port unreachable" comes back as an error.
    socket.connect(port, host, () => socket.send(DNS_QUESTION));
  });
}

function outcomeOf({ code }: NodeJS.ErrnoException): Outcome {
  switch (code) {
    case 'ECONNREFUSED':
    case 'ECONNRESET':
      return 'refused';
    case 'ETIMEDOUT':
      return 'timed out';
    default:
      return 'unreachable';
  }
}

/** A question for the name servers of the root, which any DNS server answers in some way (RFC 1035, 4.1). */
const DNS_QUESTION = Buffer.from([
  // Header: an id, recursion desired, one question.
  0x4d, 0x65, 0x01, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
  // The root, NS, IN.
  0x00, 0x00, 0x02, 0x00, 0x01,
]);
