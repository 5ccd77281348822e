import type { IncomingMessage } from 'node:http';

/** A request that cannot be read, as an HTTP status and why. */
export class BodyRefused extends Error {
  override readonly name = 'BodyRefused';
  readonly status: 400 | 413 | 415;

  constructor(status: 400 | 413 | 415, message: string) {
    super(message);
    this.status = status;
  }
}

/** Bytes of one request. */
export const MAX_BYTES = 1024 * 1024;
/** Events in one request. */
export const MAX_EVENTS = 1_000;
/** An event's address is four levels deep; nothing that we take is deeper than that. */
export const MAX_DEPTH = 16;

/**
 * Reads the events of a request: structured mode (one) or batched mode (a list, which may be empty), of CloudEvents' JSON format.
 * @throws BodyRefused
 */
export async function readEvents(request: IncomingMessage): Promise<readonly unknown[]> {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
  const batched = type === 'application/cloudevents-batch+json';
  if (!batched && type !== 'application/cloudevents+json')
    throw new BodyRefused(
      415,
      'send application/cloudevents-batch+json, or application/cloudevents+json for one event',
    );
  const bytes = await readBytes(request);
  if (depthOf(bytes) > MAX_DEPTH) throw new BodyRefused(400, `the JSON is nested more than ${MAX_DEPTH} deep`);
  const body = parse(bytes);
  if (!batched) return [body];
  if (!Array.isArray(body)) throw new BodyRefused(400, 'a batch is a JSON array of events');
  if (body.length > MAX_EVENTS) throw new BodyRefused(413, `a batch may have ${MAX_EVENTS} events`);
  return body as unknown[];
}

function readBytes(request: IncomingMessage): Promise<Buffer> {
  const tooLarge = () => new BodyRefused(413, `the body may have ${MAX_BYTES} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > MAX_BYTES) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BYTES) reject(tooLarge());
      else chunks.push(chunk);
    });
    request.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    request.on('close', () => reject(new BodyRefused(400, 'the body broke off')));
    request.on('error', () => reject(new BodyRefused(400, 'the body broke off')));
  });
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new BodyRefused(400, 'the body is not JSON');
  }
}

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];

/** How deep a JSON text is nested, told before it is parsed. */
export function depthOf(json: Uint8Array): number {
  let [depth, deepest, inText] = [0, 0, false];
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (inText) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) inText = false;
    } else if (byte === QUOTE) inText = true;
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) deepest = Math.max(deepest, ++depth);
    else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth--;
  }
  return deepest;
}
