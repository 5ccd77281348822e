import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** The address that everything here listens on. Nothing is reachable from another machine. */
export const LOOPBACK = '127.0.0.1';

/** A port that was asked for is in use by something else. */
export class PortTakenError extends Error {
  override readonly name = 'PortTakenError';
  readonly port: number;

  constructor(port: number, purpose: string) {
    super(
      `port ${port} on ${LOOPBACK}, wanted for ${purpose}, is in use: end what listens there (lsof -i :${port} names it) or ask for another port`,
    );
    this.port = port;
  }
}

/**
 * Below the range from which systems take the ports of outgoing connections (32768 on Linux, 49152 elsewhere). A port
 * inside that range could be taken, by a client that retries for one, while the API server is down for a restart.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;
const TRIES = 100;

/** A port that nothing listens on now. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port found between ${FIRST_PORT} and ${LAST_PORT} on ${LOOPBACK} in ${TRIES} tries`);
}

/** Whether a server could listen on the port now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
