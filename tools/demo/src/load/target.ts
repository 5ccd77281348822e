import { createServer, type ServerResponse } from 'node:http';

/**
 * A service without state, for tests of scaling and of rollouts: `GET /work?ms=5` takes so much processor time, as an answer that has to be computed
 * does. Environment: HOST, PORT. It stops as every service of the shop: unready at once, then what is under way ends.
 */
const MOST_MS = 1_000;

let ready = true;
const server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
  const url = new URL(request.url ?? '/', 'http://target');
  // Whoever is still connected shall go elsewhere with its next request.
  if (!ready) response.setHeader('Connection', 'close');
  switch (url.pathname) {
    case '/work':
      return answer(response, 200, { spent: spend(Math.min(Number(url.searchParams.get('ms')) || 0, MOST_MS)) });
    case '/health':
      return answer(response, 200, { status: 'ok' });
    case '/ready':
      return answer(response, ready ? 200 : 503, { ready });
    default:
      return answer(response, 404, { detail: `there is no ${url.pathname}` });
  }
});

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

/** Milliseconds of processor time. */
function spend(ms: number): number {
  const began = performance.now();
  while (performance.now() - began < ms);
  return performance.now() - began;
}

server.listen(Number(process.env['PORT'] ?? 8080), process.env['HOST'] ?? '127.0.0.1');
process.once('SIGTERM', () => {
  ready = false;
  server.close(() => process.exit(0));
});
