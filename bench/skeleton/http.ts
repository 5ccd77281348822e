import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';

/** Serves `POST`s of JSON on Node's own server, on PORT or a free one, which is printed as `{"listening": url}`: the least that a hop can cost. */
export async function serve(routes: Readonly<Record<string, (body: unknown) => Promise<unknown>>>): Promise<void> {
  const server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
    const work = routes[request.url ?? ''];
    if (work === undefined) return void response.writeHead(404).end();
    answer(work, request, response);
  });
  await new Promise<void>((resolve) => server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', resolve));
  process.stdout.write(
    `${JSON.stringify({ listening: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })}\n`,
  );
}

function answer(work: (body: unknown) => Promise<unknown>, request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    work(JSON.parse(String(Buffer.concat(chunks)))).then(
      (body) => {
        const text = JSON.stringify(body);
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
        response.end(text);
      },
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
}

/** A pool of connections to one process. @returns posts JSON and gives the answer's. @throws Error for any answer but 200 */
export function client(url: string, connections = 16): (path: string, body: unknown) => Promise<unknown> {
  const pool = new Pool(url, { connections, pipelining: 1 });
  return async (path, body) => {
    const headers = { 'content-type': 'application/json' };
    const answered = await pool.request({ method: 'POST', path, headers, body: JSON.stringify(body) });
    if (answered.statusCode >= 300)
      throw new Error(`${url}${path}: ${answered.statusCode} ${await answered.body.text()}`);
    if (answered.statusCode === 204) return answered.body.dump();
    return answered.body.json();
  };
}
