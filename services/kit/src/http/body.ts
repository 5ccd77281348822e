import type { IncomingMessage } from 'node:http';
import { ProblemError } from '../problem.ts';

/**
 * Reads a request's body as JSON.
 * @throws ProblemError 413 over `limit` bytes, 415 when it is not JSON by its header, 400 when it is none by its text.
 */
export async function readJson(request: IncomingMessage, limit: number): Promise<unknown> {
  const type = request.headers['content-type'] ?? '';
  if (!/^application\/json\s*(;|$)/i.test(type))
    throw new ProblemError(415, 'UnsupportedMediaType', 'send application/json');
  const tooLarge = () => new ProblemError(413, 'TooLarge', `the body may have ${limit} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge();
  const bytes = await readBytes(request, limit);
  if (bytes === 'too large') throw tooLarge();
  if (bytes === 'broken off') throw new ProblemError(400, 'BadRequest', 'the body broke off');
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new ProblemError(400, 'BadRequest', 'the body is not JSON');
  }
}

/**
 * Reads a request's body. By its events: iterating over a stream costs several times as much as what most requests bring. What comes after the limit is
 * left unread.
 */
export function readBytes(request: IncomingMessage, limit: number): Promise<Buffer | 'too large' | 'broken off'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) return void chunks.push(chunk);
      request.pause();
      resolve('too large');
    });
    request.on('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
    request.on('error', () => resolve('broken off'));
    request.on('close', () => resolve('broken off'));
  });
}
