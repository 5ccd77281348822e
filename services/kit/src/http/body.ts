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
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limit) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    throw new ProblemError(400, 'BadRequest', 'the body broke off');
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new ProblemError(400, 'BadRequest', 'the body is not JSON');
  }
}
