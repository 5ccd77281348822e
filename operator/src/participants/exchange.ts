import { type Dispatcher, errors } from 'undici';
import type { RawAnswer } from './answer.ts';
import { WITHHELD } from './outgoing.ts';

/** A POST as it goes out. */
export interface Post {
  readonly path: string;
  /** Names and values in turn, as undici takes them without a copy. */
  readonly headers: string[];
  readonly body: string;
  /** How many bytes of the answer's body are kept. A longer one is cut off there, and its connection closed. */
  readonly maxBytes: number;
}

/** Why there is no HTTP answer. */
export interface Failure {
  /** CamelCase, for machines: `ConnectionRefused`, `NotResolved`, ... */
  readonly failure: string;
  /** For people: what went wrong, and what to look at. */
  readonly message: string;
}

/** A POST on its way. */
export interface Exchange {
  /**
   * The answer, or why there is none. Never rejects. Settles when the connection has let go of the request, and not before: what limits requests in
   * flight may count on it.
   */
  readonly done: Promise<RawAnswer | Failure>;
  /** Gives up: closes the connection if the request is on one. `done` follows, at the latest when the attempt to connect ends. */
  abort(): void;
}

/**
 * Sends a request over `dispatcher`. There is no time limit here but for connecting: the commands have theirs, and `abort` ends it.
 * @param mayGo asked once a connection is there, right before the request is written to it
 */
export function exchange(dispatcher: Dispatcher, post: Post, mayGo: () => boolean, wallClock: () => number): Exchange {
  const handler = new Handler(post.maxBytes, mayGo, wallClock);
  const { path, headers, body } = post;
  // undici's own time limits are per wait, not in total, and would cost timers: a trickle of bytes would satisfy them for ever.
  dispatcher.dispatch({ path, method: 'POST', headers, body, headersTimeout: 0, bodyTimeout: 0 }, handler);
  return handler;
}

/** Says the end of an exchange that we ended ourselves. */
class Ended extends Error {}

/** Says the end of an exchange that did not begin. */
class Withheld extends Error {}

class Handler implements Dispatcher.DispatchHandler, Exchange {
  readonly done: Promise<RawAnswer | Failure>;
  readonly #settle: (outcome: RawAnswer | Failure) => void;
  readonly #maxBytes: number;
  readonly #mayGo: () => boolean;
  readonly #wallClock: () => number;
  #controller: Dispatcher.DispatchController | undefined;
  #aborted = false;
  #over = false;
  #status = 0;
  #contentType: string | undefined;
  #retryAfter: string | undefined;
  #retryAfterMs: string | undefined;
  #body: Buffer = Buffer.alloc(0);
  #length = 0;
  #truncated = false;

  constructor(maxBytes: number, mayGo: () => boolean, wallClock: () => number) {
    this.#maxBytes = maxBytes;
    this.#mayGo = mayGo;
    this.#wallClock = wallClock;
    const { promise, resolve } = Promise.withResolvers<RawAnswer | Failure>();
    this.done = promise;
    this.#settle = resolve;
  }

  abort(): void {
    this.#aborted = true;
    // By now the connection may carry somebody else's request.
    if (this.#over) return;
    this.#controller?.abort(new Ended('given up'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // undici can only end a request that it has begun; until then it waits for a connection.
    if (this.#aborted) controller.abort(new Ended('given up'));
    else if (!this.#mayGo()) controller.abort(new Withheld('it may not go out any more'));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // 1xx: the answer is yet to come.
    if (status < 200) return;
    this.#status = status;
    this.#contentType = first(headers['content-type']);
    this.#retryAfter = first(headers['retry-after']);
    this.#retryAfterMs = first(headers['mercato-retry-after-ms']);
    if (Number(first(headers['content-length'])) > this.#maxBytes) this.#truncate(controller);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#truncated) return;
    const room = this.#maxBytes - this.#length;
    if (chunk.length > room) {
      this.#keep(chunk.subarray(0, room));
      this.#truncate(controller);
    } else {
      this.#keep(chunk);
    }
  }

  onResponseEnd(): void {
    this.#over = true;
    this.#settle(this.#answer());
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#over = true;
    if (this.#truncated) this.#settle(this.#answer());
    else this.#settle(failureOf(error, this.#status));
  }

  #truncate(controller: Dispatcher.DispatchController): void {
    this.#truncated = true;
    controller.abort(new Ended('the answer is too large'));
  }

  /** One chunk is kept as it is; many small ones are copied together, so that a trickle of single bytes holds no array of buffers. */
  #keep(chunk: Buffer): void {
    if (this.#length === 0) {
      this.#body = chunk;
      this.#length = chunk.length;
      return;
    }
    const length = this.#length + chunk.length;
    if (length > this.#body.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(this.#maxBytes, Math.max(length, this.#body.length * 2)));
      this.#body.copy(larger, 0, 0, this.#length);
      this.#body = larger;
    }
    chunk.copy(this.#body, this.#length);
    this.#length = length;
  }

  #answer(): RawAnswer {
    return {
      status: this.#status,
      contentType: this.#contentType,
      retryAfter: this.#retryAfter,
      retryAfterMs: this.#retryAfterMs,
      body: this.#body.subarray(0, this.#length),
      truncated: this.#truncated,
      receivedAt: this.#wallClock(),
    };
  }
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** What a code of Node or undici means, and what to do about it. */
const FAILURES: ReadonlyMap<string, readonly [failure: string, message: string]> = new Map([
  ['ECONNREFUSED', ['ConnectionRefused', 'the connection was refused; does the service run, and listen on this port?']],
  ['ENOTFOUND', ['NotResolved', "the host's name was not found; check the Participant's service or url"]],
  ['EAI_AGAIN', ['NotResolved', "the host's name could not be looked up; check the cluster's DNS"]],
  ['EHOSTUNREACH', ['Unreachable', 'no route leads there; check network policies']],
  ['ENETUNREACH', ['Unreachable', 'no route leads there; check network policies']],
  ['ETIMEDOUT', ['ConnectTimeout', 'nobody took the connection; check network policies']],
  ['UND_ERR_CONNECT_TIMEOUT', ['ConnectTimeout', 'nobody took the connection; check network policies']],
  ['ECONNRESET', ['ConnectionReset', 'the connection was cut before an answer came']],
  ['EPIPE', ['ConnectionReset', 'the connection was cut before an answer came']],
  ['UND_ERR_SOCKET', ['ConnectionReset', 'the connection was cut before an answer came']],
  ['UND_ERR_HEADERS_OVERFLOW', ['HeadersTooLarge', "the answer's headers are too large"]],
]);

/** Says a transport error in our words. Nobody else looks at its code, and nobody at its message. */
function failureOf(error: Error, status: number): Failure {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (error instanceof Withheld) return { failure: 'Withheld', message: WITHHELD };
  if (error instanceof Ended) return { failure: 'Aborted', message: 'it was given up' };
  if (status !== 0) {
    return {
      failure: 'AnswerCutOff',
      message: `the connection was cut within an answer of status ${status}`,
    };
  }
  const known = FAILURES.get(code);
  if (known !== undefined) {
    const [failure, message] = known;
    return { failure, message };
  }
  if (error instanceof errors.HTTPParserError)
    return { failure: 'NotHttp', message: 'what answers there does not speak HTTP/1.1' };
  if (/CERT|^ERR_(TLS|SSL)|SELF_SIGNED/.test(code)) {
    return { failure: 'TlsFailed', message: `its certificate or TLS is not accepted (${code})` };
  }
  return { failure: 'RequestFailed', message: `the request could not be made (${code || error.name})` };
}
