import type { RateLimit } from './bucket.ts';

/** How one participant is reached and what it bears: what the Participant object says, in the adapter's terms. */
export interface ParticipantConfig {
  /** `http(s)://host:port[/basePath]`, without user, query and fragment. */
  readonly baseUrl: string;
  /** The audience of the token that every request carries. */
  readonly audience: string;
  /** The commands that it knows, each with the business failures that it may answer. Others are not sent. */
  readonly reasons: Readonly<Record<string, readonly string[]>>;
  /** At most so many requests at once, over all runs; so many connections. A batch is one request. @default 64 */
  readonly maxInFlight?: number;
  /** A longer answer to one command is cut off and unknown, in bytes. @default 65536 */
  readonly maxAnswerBytes?: number;
  /** At most so many commands, whether alone or in batches. Absent: as many as come. */
  readonly rate?: RateLimit;
  /** It answers `POST .../saga/batch` of up to `maxItems` commands. Absent: it does not. */
  readonly batch?: { readonly maxItems: number };
}

/** How a participant is reached over queues (contract, "Over SQS"). The rest is as over HTTP; `maxInFlight` counts commands that wait for their answer. */
export interface QueueParticipantConfig extends Omit<ParticipantConfig, 'baseUrl' | 'batch'> {
  readonly queue: {
    /** URL of the queue that takes commands. */
    readonly url: string;
    /** URL of the queue whose name those of this process's answers begin with, and whose encryption they have. */
    readonly answersUrl: string;
  };
}

/** However it is reached. */
export type LaneConfig = ParticipantConfig | QueueParticipantConfig;

/** A {@link QueueParticipantConfig} that has been checked, with its defaults filled in. */
export type CheckedQueueConfig = Required<Omit<QueueParticipantConfig, 'rate'>>;

/** A {@link ParticipantConfig} that has been checked, with its defaults filled in. */
export interface CheckedConfig {
  /** `http://host:port` */
  readonly origin: string;
  /** Stands before `/saga/...`; empty, or begins with a slash and does not end in one. */
  readonly basePath: string;
  readonly audience: string;
  readonly reasons: Readonly<Record<string, readonly string[]>>;
  readonly maxInFlight: number;
  readonly maxAnswerBytes: number;
  /** 1: no batches. */
  readonly maxItems: number;
}

type Field = keyof ParticipantConfig | keyof QueueParticipantConfig;

/** A field of a {@link LaneConfig} that cannot be worked with. */
export class ParticipantConfigError extends Error {
  readonly field: Field;

  constructor(field: Field, message: string) {
    super(`${field}: ${message}`);
    this.name = 'ParticipantConfigError';
    this.field = field;
  }
}

/** Contract, "Batch". */
export const MAX_BATCH_ITEMS = 100;

/** @throws ParticipantConfigError where a rate cannot be kept */
export function checkRate(rate: RateLimit | undefined): RateLimit | undefined {
  if (rate === undefined) return undefined;
  checkInteger('rate', rate.perSecond, 1, 1_000_000);
  checkInteger('rate', rate.burst, 1, 1_000_000);
  return rate;
}

/**
 * Checks a config once, at the edge, and fills in its defaults.
 *
 * @throws ParticipantConfigError that names the field
 */
export function checkConfig(config: ParticipantConfig): CheckedConfig {
  const { origin, basePath } = checkUrl(config.baseUrl);
  if (config.audience === '') throw new ParticipantConfigError('audience', 'must not be empty');
  const maxItems = config.batch?.maxItems ?? 1;
  checkInteger('batch', maxItems, 1, MAX_BATCH_ITEMS);
  const { maxInFlight = 64, maxAnswerBytes = 65_536 } = config;
  checkInteger('maxInFlight', maxInFlight, 1, 10_000);
  checkInteger('maxAnswerBytes', maxAnswerBytes, 1024, 1_048_576);
  return {
    origin,
    basePath,
    audience: config.audience,
    reasons: config.reasons,
    maxInFlight,
    maxAnswerBytes,
    maxItems,
  };
}

/** A queue's name has at most 80 characters; that of this process's answers is longer by a hyphen and twelve. */
const MAX_ANSWERS_NAME = 67;

/** As {@link checkConfig}, for queues. @throws ParticipantConfigError */
export function checkQueueConfig(config: QueueParticipantConfig): CheckedQueueConfig {
  const { queue, audience, reasons, maxInFlight = 64, maxAnswerBytes = 65_536 } = config;
  for (const url of [queue.url, queue.answersUrl]) {
    if (!URL.canParse(url) || !/^https?:\/\/[^?#]*[^/?#]$/.test(url))
      throw new ParticipantConfigError('queue', `must be URLs of queues, not "${url}"`);
    if (url.endsWith('.fifo'))
      throw new ParticipantConfigError(
        'queue',
        `"${url}" is a FIFO queue: commands need no order; give a standard one`,
      );
  }
  const name = queue.answersUrl.split('/').at(-1) ?? '';
  if (name.length > MAX_ANSWERS_NAME)
    throw new ParticipantConfigError('queue', `the name ${name} of answersUrl has over ${MAX_ANSWERS_NAME} characters`);
  if (audience === '') throw new ParticipantConfigError('audience', 'must not be empty');
  checkInteger('maxInFlight', maxInFlight, 1, 10_000);
  checkInteger('maxAnswerBytes', maxAnswerBytes, 1024, 1_048_576);
  return { queue, audience, reasons, maxInFlight, maxAnswerBytes };
}

function checkUrl(text: string): { origin: string; basePath: string } {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new ParticipantConfigError('baseUrl', `must be an http:// or https:// URL, not "${text}"`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new ParticipantConfigError(
      'baseUrl',
      'must not hold a user or password: the operator sends its service-account token',
    );
  }
  if (url.search !== '' || url.hash !== '') throw new ParticipantConfigError('baseUrl', 'must end before any ? or #');
  return { origin: url.origin, basePath: url.pathname.replace(/\/+$/, '') };
}

function checkInteger(field: Field, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new ParticipantConfigError(field, `must be an integer from ${least} to ${most}, not ${value}`);
}
