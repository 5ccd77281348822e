import { readFileSync } from 'node:fs';
import { insecureTokenCheck, JwksTokenCheck, type TokenCheck } from './auth/tokens.ts';
import type { EventQueue } from './events/consumer.ts';
import type { CommandQueue } from './queue/consumer.ts';
import { type Milliseconds, milliseconds, parseDuration } from './units.ts';

/** A service's settings, all from the environment. */
export interface ServiceConfig {
  /** `HOST`. @default 127.0.0.1; containers say 0.0.0.0 */
  readonly host: string;
  /** `PORT`; 0 takes a free one. @default 8080 */
  readonly port: number;
  /** `DATA_DIR`. @default ./.mercato/{service} */
  readonly dataDir: string;
  /** `LOG_LEVEL`. @default info */
  readonly logLevel: string;
  /** `MERCATO_MAX_IN_FLIGHT`: commands carried out at once. @default 2000 */
  readonly maxInFlight: number;
  /** `MERCATO_KEY_RETENTION`: how long keys and tombstones are remembered. @default 35d */
  readonly keyRetention: Milliseconds;
  /**
   * `MERCATO_INBOX_RETENTION`: how long events that were handled are remembered. It must exceed the longest redelivery: a duplicate that comes later is carried
   * out a second time. From 1m to 3650d. @default 35d
   */
  readonly inboxRetention: Milliseconds;
  /**
   * `MERCATO_OUTBOX_RETENTION`: how long events stay that every subscriber has. Without them nobody can see what was sent, and a subscriber under a new address
   * begins with what is left; but an order's payment token is among them. From 1m to 30d. @default 1h
   */
  readonly outboxRetention: Milliseconds;
  /**
   * How long the count of an order's events outlives its last: twice as long as the longer of the two that remember, so that none of them takes a count which
   * began anew for old news. All services of an installation are to have the same two.
   */
  readonly sequenceRetention: Milliseconds;
  /** `MERCATO_EVENT_SUBSCRIBERS`: comma-separated addresses that get the events. @default none */
  readonly subscribers: readonly string[];
  /** `MERCATO_RELAY_TOKEN_FILE`: file with the token that the events are sent with. @default none */
  readonly relayTokenFile: string | undefined;
  /** `MERCATO_EVENT_SENDERS`: comma-separated subjects of tokens that may send events here. @default nobody */
  readonly eventSenders: readonly string[];
  /** `MERCATO_COMMAND_QUEUE` and `MERCATO_ANSWER_QUEUES`: URLs of SQS queues, as Participant.spec.queue has them. @default commands come over HTTP only */
  readonly commandQueue: CommandQueue | undefined;
  /** `MERCATO_EVENT_BUS`: name or ARN of an EventBridge bus that gets the events too. @default none */
  readonly eventBus: string | undefined;
  /** `MERCATO_EVENT_QUEUE`: URL of an SQS queue with other services' events. @default they come over HTTP only */
  readonly eventQueue: EventQueue | undefined;
  /** Whether anybody gets the events. */
  readonly isHeard: boolean;
  readonly tokens: TokenCheck;
  /** True when `MERCATO_INSECURE_NO_AUTH` let everybody in. */
  readonly insecure: boolean;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** A setting is missing or wrong; the message names the variable and says what it must be. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ConfigError';
  }
}

/** An integer setting. @throws ConfigError */
export function integerSetting(env: Environment, name: string, fallback: number, min: number, max: number): number {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new ConfigError(`${name} must be an integer from ${min} to ${max}, not "${text}"`);
  }
  return value;
}

/** The shortest and the longest that a setting takes, as people write them. */
export interface DurationLimits {
  readonly least: string;
  readonly most: string;
}

/** A duration setting, as 15m. @param limits both included. @default none @throws ConfigError */
export function durationSetting(
  env: Environment,
  name: string,
  fallback: string,
  limits?: DurationLimits,
): Milliseconds {
  const text = env[name] || fallback;
  const value = durationOf(name, text);
  if (limits !== undefined && (value < parseDuration(limits.least) || value > parseDuration(limits.most)))
    throw new ConfigError(`${name} must be from ${limits.least} to ${limits.most}, not "${text}"`);
  return value;
}

function durationOf(name: string, text: string): Milliseconds {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new ConfigError(`${name}: ${(error as Error).message}`);
  }
}

/** A setting that must be there; `why` says who needs it. @throws ConfigError */
export function neededSetting(env: Environment, name: string, why: string): string {
  const value = env[name];
  if (value) return value;
  throw new ConfigError(`${name} is not set. ${why}`);
}

/** A setting of several entries with commas between them; empty ones do not count. */
export const listSetting = (env: Environment, name: string): string[] =>
  (env[name] ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');

/** A setting of HTTP addresses with commas between them. @throws ConfigError */
export function addressesSetting(env: Environment, name: string): string[] {
  const addresses = listSetting(env, name);
  for (const url of addresses)
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) throw new ConfigError(`${name}: "${url}" is no HTTP address`);
  return addresses;
}

/** What is to be kept for less than this is kept for as long all the same: until the next sweep. */
const SWEPT_EVERY = '1m';

/** Reads what all services share. @throws ConfigError for the first setting that is missing or wrong */
export function readConfig(service: string, env: Environment): ServiceConfig {
  const insecure = env['MERCATO_INSECURE_NO_AUTH'] === 'true';
  const subscribers = addressesSetting(env, 'MERCATO_EVENT_SUBSCRIBERS');
  const eventBus = busSetting(env);
  const keyRetention = durationSetting(env, 'MERCATO_KEY_RETENTION', '35d');
  const inboxRetention = durationSetting(env, 'MERCATO_INBOX_RETENTION', '35d', { least: SWEPT_EVERY, most: '3650d' });
  return {
    host: env['HOST'] || '127.0.0.1',
    port: integerSetting(env, 'PORT', 8080, 0, 65535),
    dataDir: env['DATA_DIR'] || `./.mercato/${service}`,
    logLevel: env['LOG_LEVEL'] || 'info',
    maxInFlight: integerSetting(env, 'MERCATO_MAX_IN_FLIGHT', 2000, 1, 1_000_000),
    keyRetention,
    inboxRetention,
    outboxRetention: durationSetting(env, 'MERCATO_OUTBOX_RETENTION', '1h', { least: SWEPT_EVERY, most: '30d' }),
    sequenceRetention: milliseconds(2 * Math.max(keyRetention, inboxRetention)),
    subscribers,
    eventBus,
    isHeard: subscribers.length > 0 || eventBus !== undefined,
    eventQueue: eventQueue(env),
    relayTokenFile: env['MERCATO_RELAY_TOKEN_FILE'] || undefined,
    eventSenders: listSetting(env, 'MERCATO_EVENT_SENDERS'),
    commandQueue: commandQueue(env),
    tokens: insecure ? insecureTokenCheck : tokenCheck(env),
    insecure,
  };
}

/** Both or neither: a service that may not say where it answers would answer anybody. */
function commandQueue(env: Environment): CommandQueue | undefined {
  const names = ['MERCATO_COMMAND_QUEUE', 'MERCATO_ANSWER_QUEUES'] as const;
  if (names.every((name) => !env[name])) return undefined;
  const [url = '', answersUrl = ''] = names.map((name) => {
    return queueUrl(name, neededSetting(env, name, `it goes with ${names.find((other) => other !== name)}`));
  });
  return { url, answersUrl };
}

function queueUrl(name: string, text: string): string {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text;
  throw new ConfigError(`${name}: "${text}" is no URL of a queue`);
}

function eventQueue(env: Environment): EventQueue | undefined {
  const text = env['MERCATO_EVENT_QUEUE'];
  return text ? { url: queueUrl('MERCATO_EVENT_QUEUE', text) } : undefined;
}

function busSetting(env: Environment): string | undefined {
  const bus = env['MERCATO_EVENT_BUS'];
  if (!bus) return undefined;
  if (/^(arn:aws[\w-]*:events:[\w-]+:\d{12}:event-bus\/)?[\w./-]{1,256}$/.test(bus)) return bus;
  throw new ConfigError(`MERCATO_EVENT_BUS: "${bus}" is neither the name nor the ARN of an event bus`);
}

function tokenCheck(env: Environment): TokenCheck {
  const why = 'Callers are known by service-account tokens; a test without them says MERCATO_INSECURE_NO_AUTH=true';
  const needed = (name: string) => neededSetting(env, name, why);
  const allowedSubjects = listSetting(env, 'MERCATO_ALLOWED_SUBJECTS');
  // Nobody may call a service that only hears events; but that must not come of a forgotten line.
  if (allowedSubjects.length === 0 && listSetting(env, 'MERCATO_EVENT_SENDERS').length === 0)
    needed('MERCATO_ALLOWED_SUBJECTS');
  const caFile = env['MERCATO_JWKS_CA_FILE'];
  const tokenFile = env['MERCATO_JWKS_TOKEN_FILE'];
  return new JwksTokenCheck({
    issuer: needed('MERCATO_TOKEN_ISSUER'),
    audience: needed('MERCATO_AUDIENCE'),
    jwksUrl: needed('MERCATO_JWKS_URL'),
    allowedSubjects,
    ...(caFile ? { jwksCa: readFileSync(caFile, 'utf8') } : {}),
    ...(tokenFile ? { jwksTokenFile: tokenFile } : {}),
  });
}
