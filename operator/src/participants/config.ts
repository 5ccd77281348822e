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

/** A field of a {@link ParticipantConfig} that cannot be worked with. */
export class ParticipantConfigError extends Error {
  readonly field: keyof ParticipantConfig;

  constructor(field: keyof ParticipantConfig, message: string) {
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

function checkInteger(field: keyof ParticipantConfig, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new ParticipantConfigError(field, `must be an integer from ${least} to ${most}, not ${value}`);
}
