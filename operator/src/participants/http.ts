import { Pool } from 'undici';
import { type Clock, systemClock } from '../runtime/clock.ts';
import type { Answer, RunId } from '../saga/types.ts';
import { type Expected, type RawAnswer, readAnswer, readBatch, readItem } from './answer.ts';
import { type CheckedConfig, checkConfig, type ParticipantConfig } from './config.ts';
import { type Exchange, exchange, type Failure, type Post } from './exchange.ts';
import { Outgoing } from './outgoing.ts';
import type { Lane, SendEffect, SendObserver } from './participants.ts';
import {
  batchBody,
  batchHeaders,
  batchItem,
  commandHeaders,
  ITEM_OVERHEAD_BYTES,
  MAX_BATCH_BYTES,
  writeCommand,
} from './request.ts';
import { Suspects } from './suspects.ts';
import type { TokenSource } from './tokens.ts';

/** How one participant's adapter is made. */
export interface HttpParticipantOptions {
  /** The Participant's name, for metrics and messages. */
  readonly name: string;
  readonly config: ParticipantConfig;
  readonly tokens: TokenSource;
  /** @default none */
  readonly observer?: SendObserver;
  /** @default the machine's clock */
  readonly clock?: Clock;
}

/** One participant, reached over HTTP. */
export type HttpParticipant = Required<Lane>;

/** How long making a connection may take. Whatever waits for it has its own, mostly shorter limit. */
const CONNECT_TIMEOUT_MS = 5000;

/**
 * How long a connection is used. A Service's virtual address chooses a pod when a connection is made, so that connections kept for ever would leave new
 * pods idle, and old addresses of a name in use.
 */
const CONNECTION_LIFE_MS = 60_000;

/**
 * How long a batch that is not full gathers while another is under way. An order has five commands, and so waits 25 ms of its 2 s on average; half of that would
 * be twice the requests, and a request costs either side as much as several commands.
 */
const GATHER_MS = 10;

/** How soon to ask again where only the platform can help: soon enough for people, too rarely to be a load. */
const PLATFORM_RETRY_MS = 5000;
const TOKEN_RETRY_MS = 1000;

/**
 * Carries commands to one participant over HTTP (docs/reference/participant-contract.md).
 *
 * - At most `maxInFlight` requests at once; the rest wait in order, each for at most half of its time limit, and then answer `NotNow: Busy`.
 * - With `batch`, commands that arrive in one turn of the event loop, or while all places are taken, share a request of up to `maxItems`. While one is
 *   under way, the next gathers for some milliseconds (as Nagle's algorithm does, RFC 896): under load a command then costs a tenth of a request and of a
 *   commit over there, and one that comes alone waits for nobody. Each keeps its own time limit and its own answer, and one that spoilt a batch is
 *   sent alone the next time.
 * - A place is given back only when the connection has let go of the request, so that memory and connections are bounded whatever the other side does.
 *
 * @throws ParticipantConfigError
 */
export function httpParticipant(options: HttpParticipantOptions): HttpParticipant {
  return new HttpLane(options, checkConfig(options.config));
}

interface Target {
  readonly path: string;
  readonly expected: Expected;
}

class HttpLane implements HttpParticipant {
  readonly #name: string;
  readonly #config: CheckedConfig;
  readonly #tokens: TokenSource;
  readonly #observer: SendObserver | undefined;
  readonly #clock: Clock;
  readonly #pool: Pool;
  readonly #targets = new Map<string, Target>();
  readonly #batchPath: string;
  readonly #batchWhere: string;
  /** In the order of arrival. A Set, since those that time out leave from the middle. */
  readonly #queue = new Set<Outgoing>();
  readonly #suspects = new Suspects();
  #inFlight = 0;
  #flushing = false;
  #gathering: NodeJS.Timeout | undefined;
  /** Settles when nothing is in flight any more; set once no more is taken. */
  #idle: PromiseWithResolvers<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: HttpParticipantOptions, config: CheckedConfig) {
    this.#name = options.name;
    this.#config = config;
    this.#tokens = options.tokens;
    this.#observer = options.observer;
    this.#clock = options.clock ?? systemClock;
    this.#pool = new Pool(config.origin, {
      connections: config.maxInFlight,
      pipelining: 1,
      connectTimeout: CONNECT_TIMEOUT_MS,
      clientTtl: CONNECTION_LIFE_MS,
      allowH2: false,
    });
    for (const [command, reasons] of Object.entries(config.reasons)) {
      const path = `${config.basePath}/saga/${encodeURIComponent(command)}`;
      this.#targets.set(command, { path, expected: { where: `POST ${config.origin}${path}`, command, reasons } });
    }
    this.#batchPath = `${config.basePath}/saga/batch`;
    this.#batchWhere = `POST ${config.origin}${this.#batchPath}`;
  }

  async send(_run: RunId, effect: SendEffect, signal: AbortSignal): Promise<Answer> {
    const began = this.#clock.monotonic();
    const answer = await this.#send(effect, signal);
    this.#observer?.(this.#name, effect.command, answer.type, (this.#clock.monotonic() - began) / 1000);
    return answer;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  shed(answer: (key: string) => Answer): void {
    for (const command of this.#queue) command.settle(answer(command.text.key));
  }

  async #close(): Promise<void> {
    this.#idle = Promise.withResolvers();
    for (const command of this.#queue) command.settle(this.#closing());
    if (this.#inFlight === 0) this.#idle.resolve();
    await this.#idle.promise;
    await this.#pool.close();
  }

  /** All that may say no before a command is queued, in order. The circuit breaker and the rate limit stand before the lane (protection.ts). */
  #send(effect: SendEffect, signal: AbortSignal): Promise<Answer> | Answer {
    if (this.#closed !== undefined) return this.#closing();
    if (signal.aborted)
      return { type: 'NotNow', reason: 'Aborted', message: `${effect.command}: given up by its worker` };
    const target = this.#targets.get(effect.command);
    if (target === undefined) return this.#commandUnknown(effect.command);
    const text = writeCommand(effect);
    if ('type' in text) return text;
    const { path, expected } = target;
    const command = new Outgoing({
      expected,
      path,
      text,
      timeout: effect.timeout,
      signal,
      mayGo: effect.mayGo,
      clock: this.#clock,
    });
    this.#queue.add(command);
    command.onSettled = (settled) => this.#queue.delete(settled);
    this.#pump();
    return command.answer;
  }

  /** Sees to it that what waits is sent as far as there are places. With batches, after this turn, so that what comes in one turn goes in one request. */
  #pump(): void {
    if (this.#config.maxItems === 1) return this.#flush();
    if (this.#flushing || this.#queue.size === 0 || this.#inFlight >= this.#config.maxInFlight) return;
    if (this.#inFlight > 0 && this.#queue.size < this.#config.maxItems) {
      this.#gathering ??= setTimeout(() => this.#flush(), GATHER_MS);
      return;
    }
    this.#flushing = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    while (this.#queue.size > 0 && this.#inFlight < this.#config.maxInFlight) {
      const commands = this.#take();
      this.#inFlight++;
      for (const command of commands) command.begin();
      void this.#carry(commands).finally(() => this.#landed());
    }
  }

  /** The next commands that go together: the first that waits, and what may share its request. */
  #take(): Outgoing[] {
    const taken: Outgoing[] = [];
    let bytes = 0;
    for (const command of this.#queue) {
      if (taken.length === this.#config.maxItems) break;
      const size = command.text.bytes + ITEM_OVERHEAD_BYTES;
      const alone = this.#suspects.has(command.text.key);
      if (taken.length > 0 && (alone || bytes + size > MAX_BATCH_BYTES)) break;
      this.#queue.delete(command);
      taken.push(command);
      bytes += size;
      if (alone) break;
    }
    return taken;
  }

  #landed(): void {
    this.#inFlight--;
    if (this.#inFlight === 0) this.#idle?.resolve();
    this.#pump();
  }

  /** One request from token to answer. Never rejects, and leaves no command without an answer. */
  async #carry(commands: readonly Outgoing[]): Promise<void> {
    let token: string;
    try {
      token = await this.#tokens(this.#config.audience);
    } catch (error) {
      const told = error instanceof Error ? error.message : String(error);
      const message = `no token for the audience ${this.#config.audience} could be had: ${told}`;
      for (const command of commands)
        command.settle({ type: 'NotNow', reason: 'NoToken', message, retryAfter: TOKEN_RETRY_MS });
      return;
    }
    const live = commands.filter((command) => !command.settled);
    const [single] = live;
    if (single === undefined) return;
    for (const command of live) command.markSent();
    const outcome = await this.#exchange(
      live,
      live.length === 1 ? this.#single(single, token) : this.#batch(live, token),
    );
    if (!('failure' in outcome) && outcome.status === 401) this.#tokens.rejected?.(this.#config.audience, token);
    if (live.length === 1) this.#answerSingle(single, outcome);
    else this.#answerBatch(live, outcome);
  }

  #single(command: Outgoing, token: string): Post {
    const { path, text } = command;
    return { path, headers: commandHeaders(text, token), body: text.body, maxBytes: this.#config.maxAnswerBytes };
  }

  #batch(commands: readonly Outgoing[], token: string): Post {
    const body = batchBody(commands.map(({ expected, text }) => batchItem(expected.command, text)));
    const maxBytes = Math.max(
      this.#config.maxAnswerBytes,
      Math.min(MAX_BATCH_BYTES, this.#config.maxAnswerBytes * commands.length),
    );
    return { path: this.#batchPath, headers: batchHeaders(token), body, maxBytes };
  }

  /** Sends a request, and ends it when none of its commands waits any more: so it lives as long as the most patient of them. */
  async #exchange(commands: readonly Outgoing[], post: Post): Promise<RawAnswer | Failure> {
    let waiting = commands.length;
    const mayGo = () => commands.every((command) => command.mayGo);
    const flight: Exchange = exchange(this.#pool, post, mayGo, () => this.#clock.wall());
    for (const command of commands) {
      command.onSettled = () => {
        if (--waiting === 0) flight.abort();
      };
    }
    return flight.done;
  }

  #answerSingle(command: Outgoing, outcome: RawAnswer | Failure): void {
    const { expected } = command;
    const answer = 'failure' in outcome ? failed(expected.where, outcome) : readAnswer(outcome, expected);
    if (!spoilt(answer)) this.#suspects.clear(command.text.key);
    command.settle(answer);
  }

  #answerBatch(commands: readonly Outgoing[], outcome: RawAnswer | Failure): void {
    const where = this.#batchWhere;
    const reading =
      'failure' in outcome ? { whole: failed(where, outcome) } : readBatch(outcome, commands.length, where);
    if ('items' in reading) {
      for (const [i, command] of commands.entries()) {
        if (command.settled) this.#suspects.add(command.text.key);
        command.settle(readItem(reading.items[i], { ...command.expected, where }));
      }
      return;
    }
    for (const command of commands) {
      if (spoilt(reading.whole)) this.#suspects.add(command.text.key);
      command.settle(reading.whole);
    }
  }

  #closing(): Answer {
    const message = `the connection to ${this.#name} is being closed or replaced; nothing was sent`;
    return { type: 'NotNow', reason: 'Closing', message, retryAfter: 0 };
  }

  #commandUnknown(command: string): Answer {
    const known = [...this.#targets.keys()].join(', ') || 'none';
    const message = `the Participant ${this.#name} declares no command ${command} (it declares: ${known}); add it to spec.commands`;
    return { type: 'NotNow', reason: 'CommandUnknown', message, retryAfter: PLATFORM_RETRY_MS };
  }
}

function failed(where: string, { failure, message }: Failure): Answer {
  // Those that shared a batch with it and may still go do so at once.
  if (failure === 'Withheld')
    return { type: 'NotNow', reason: 'Aborted', message: `${where}: ${message}`, retryAfter: 0 };
  return { type: 'Unknown', reason: failure, message: `${where}: ${message}` };
}

/** What says nothing about the commands in a batch, only about the way there or the service as a whole. */
const NOT_OF_THE_COMMANDS: ReadonlySet<string> = new Set([
  'ConnectionRefused',
  'ConnectTimeout',
  'NotResolved',
  'Unreachable',
  'TlsFailed',
  'NotHttp',
  'HttpStatus401',
  'HttpStatus403',
  'HttpStatus502',
  'HttpStatus503',
  'HttpStatus504',
]);

/** Whether one of a batch's commands may be why all of them failed. */
function spoilt(answer: Answer): boolean {
  return answer.type === 'Unknown' && !NOT_OF_THE_COMMANDS.has(answer.reason);
}
