import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { type RequestName, TransportError } from './errors.ts';

/** One HTTP request, ready to send. */
export interface Outgoing {
  readonly method: Dispatcher.HttpMethod;
  /** With its query. */
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

/** One HTTP answer, read to its end. */
export interface Incoming {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** What bounds an exchange. */
export interface Bounds {
  /** For all of it, waiting for a connection included, in milliseconds; 0 for no limit. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Sends one request and reads the answer. Written on undici's dispatch interface, without its streams: a request of the operator costs a JSON
 * body and nothing else.
 *
 * Rejects with a TransportError only; `connect` if and only if nothing was sent.
 */
export function exchange(dispatcher: Dispatcher, outgoing: Outgoing, bounds: Bounds): Promise<Incoming> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let code = 0;
    let headers: IncomingHttpHeaders = {};
    dispatch(dispatcher, outgoing, bounds, {
      start(statusCode, responseHeaders) {
        code = statusCode;
        headers = responseHeaders;
      },
      data(chunk, fail) {
        size += chunk.length;
        if (size > bounds.maxBytes) fail('too-large', `the answer exceeds ${bounds.maxBytes} bytes`);
        else chunks.push(chunk);
      },
      end: () =>
        resolve({ code, headers, text: (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString('utf8') }),
      fail: reject,
    });
  });
}

/** Receives a stream of lines. */
export interface LineHandler {
  /** The answer's head has come and is a success. */
  open(): void;
  /** A line without its end. What this throws ends the stream with that error. */
  line(text: string): void;
}

/** The answer was not a success: its whole text, to be made an error of. */
export class Refused extends Error {
  readonly answer: Incoming;

  constructor(answer: Incoming) {
    super(`answered ${answer.code}`);
    this.answer = answer;
  }
}

const NEWLINE = 0x0a;
/** How much of a refusal is read. */
const MAX_REFUSAL_BYTES = 1 << 20;

/**
 * Sends one request whose answer is lines without end, each at most `bounds.maxBytes` long. Resolves when the server ends the answer; a last
 * line without its end is a broken one and rejects. Rejects with a Refused for an answer that is no success, with what the handler throws, and
 * otherwise with a TransportError.
 */
export function exchangeLines(
  dispatcher: Dispatcher,
  outgoing: Outgoing,
  bounds: Bounds,
  handler: LineHandler,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const partial: Buffer[] = [];
    let partialSize = 0;
    let code = 0;
    let headers: IncomingHttpHeaders = {};

    const take = (chunk: Buffer, limit: number, fail: Fail): boolean => {
      if (chunk.length === 0) return true;
      partialSize += chunk.length;
      if (partialSize > limit) {
        fail('too-large', `a line of the stream exceeds ${limit} bytes`);
        return false;
      }
      partial.push(chunk);
      return true;
    };
    const drain = (): string => {
      const text = (partial.length === 1 ? partial[0]! : Buffer.concat(partial)).toString('utf8');
      partial.length = 0;
      partialSize = 0;
      return text;
    };

    dispatch(dispatcher, outgoing, bounds, {
      start(statusCode, responseHeaders) {
        code = statusCode;
        headers = responseHeaders;
        if (code === 200) handler.open();
      },
      data(chunk, fail) {
        if (code !== 200) {
          take(chunk, MAX_REFUSAL_BYTES, fail);
          return;
        }
        let begin = 0;
        for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, begin)) {
          if (!take(chunk.subarray(begin, end), bounds.maxBytes, fail)) return;
          begin = end + 1;
          if (partialSize > 0) handler.line(drain());
        }
        take(chunk.subarray(begin), bounds.maxBytes, fail);
      },
      end(fail) {
        if (code !== 200) reject(new Refused({ code, headers, text: drain() }));
        else if (partialSize > 0) fail('malformed', 'the stream ended within a line');
        else resolve();
      },
      fail: reject,
    });
  });
}

type Fail = (failure: TransportError['failure'], detail: string) => void;

interface Callbacks {
  start(code: number, headers: IncomingHttpHeaders): void;
  data(chunk: Buffer, fail: Fail): void;
  end(fail: Fail): void;
  /** Called at most once, and nothing is called after it. */
  fail(error: unknown): void;
}

/** The part that both kinds of exchange share: time limit, abort, and telling what kind of failure it was. */
function dispatch(dispatcher: Dispatcher, outgoing: Outgoing, bounds: Bounds, callbacks: Callbacks): void {
  const name: RequestName = { method: outgoing.method, path: outgoing.path };
  const { signal, timeoutMs } = bounds;
  let controller: Dispatcher.DispatchController | undefined;
  let settled = false;

  const settle = () => {
    settled = true;
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
  const failWith = (error: unknown) => {
    if (settled) return;
    settle();
    // While the request still waits for a connection there is no controller; `onRequestStart` then ends it unsent.
    controller?.abort(error instanceof Error ? error : new Error(String(error)));
    callbacks.fail(error);
  };
  const fail: Fail = (failure, detail) => failWith(new TransportError(name, failure, detail));
  /** A handler that throws ends the exchange with its own error. */
  const guard = (fn: () => void) => {
    if (settled) return;
    try {
      fn();
    } catch (error) {
      failWith(error);
    }
  };
  const onAbort = () => failWith(new TransportError(name, 'aborted', 'aborted', signal?.reason));
  const late = () => fail('timeout', `no answer within ${timeoutMs} ms`);
  // What came while this process stood still is read first: timers are looked at before sockets, and all that is under way would be unknown at once.
  const timer = timeoutMs > 0 ? setTimeout(() => setImmediate(late), timeoutMs) : undefined;

  if (signal?.aborted) {
    onAbort();
    return;
  }
  signal?.addEventListener('abort', onAbort, { once: true });

  dispatcher.dispatch(
    {
      method: outgoing.method,
      path: outgoing.path,
      headers: outgoing.headers,
      body: outgoing.body ?? null,
      // The one timer above covers all phases; undici's own would cut a quiet watch.
      headersTimeout: 0,
      bodyTimeout: 0,
    },
    {
      onRequestStart(started) {
        controller = started;
        if (settled) started.abort(new Error('given up before it was sent'));
      },
      onResponseStart(_, code, headers) {
        guard(() => callbacks.start(code, headers));
      },
      onResponseData(_, chunk) {
        guard(() => callbacks.data(chunk, fail));
      },
      onResponseEnd() {
        guard(() => callbacks.end(fail));
        if (!settled) settle();
      },
      onResponseError(_, error) {
        const sent = controller !== undefined;
        failWith(new TransportError(name, sent ? 'connection-lost' : 'connect', error.message || error.name, error));
      },
    },
  );
}
