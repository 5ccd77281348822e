/** Severity, in rising order. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What a log line carries beside its message. Values must be serialisable; errors are written as name, message and stack. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Structured logging: one JSON object a line. Logging never throws into the caller. */
export interface Logger {
  debug(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
  /** A logger whose lines all carry `fields` too. */
  with(fields: LogFields): Logger;
  /** Whether a line of that level would be written; lets a hot path skip making its fields. */
  enabled(level: LogLevel): boolean;
}

const RANK: Record<LogLevel, number> = { debug: 10, info: 20, warn: 30, error: 40 };

/** Keys whose values never reach a log, compared without case, `-` and `_`. Whole names: `paymentToken` ends in `token` and is covered too. */
const SECRET =
  /(?:authorization|token|password|passwd|secret|apikey|privatekey|clientkey|cookie|cardnumber|cvv|cvc)$|^pan$/;

/** Whether the value under `key` is kept out of logs. */
export function isSecretKey(key: string): boolean {
  return SECRET.test(key.toLowerCase().replaceAll(/[-_]/g, ''));
}

/** What stands in a log in place of a secret. */
export const REDACTED = '[redacted]';

/** A bearer credential inside text, e.g. in an error's message that quotes a header. */
const BEARER = /\b(bearer\s+)[\w.~+/=-]{8,}/gi;

const MAX_DEPTH = 6;

/**
 * A copy of `value` that is safe to log: secrets by key and bearer credentials in text are replaced, errors become plain objects (with their
 * causes), cycles and great depth are cut off, bigints become strings.
 */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return value.replace(BEARER, `$1${REDACTED}`);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return String(value);
  if (value === null || typeof value !== 'object') return value;
  if (depth >= MAX_DEPTH) return '[deep]';
  if (value instanceof Error) return redactError(value, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) copy[key] = isSecretKey(key) ? REDACTED : redact(item, depth + 1);
  return copy;
}

function redactError(error: Error, depth: number): unknown {
  const copy: Record<string, unknown> = { name: error.name, message: redact(error.message, depth + 1) };
  for (const [key, item] of Object.entries(error)) copy[key] = isSecretKey(key) ? REDACTED : redact(item, depth + 1);
  copy['stack'] = redact(error.stack ?? '', depth + 1);
  if (error.cause !== undefined) copy['cause'] = redact(error.cause, depth + 1);
  return copy;
}

/** How a logger is made. */
export interface LoggerOptions {
  /** Lines below this level are not written. @default 'info' */
  level?: LogLevel;
  /** Where a line goes, its newline included. @default the process's standard error */
  write?: (line: string) => void;
  /** The time of a line, in milliseconds since the epoch. @default Date.now */
  now?: () => number;
}

/** A logger that writes JSON lines: `time`, `level`, `msg`, then the fields. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const threshold = RANK[options.level ?? 'info'];
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const now = options.now ?? Date.now;
  return make({});

  function make(bound: LogFields): Logger {
    const log = (level: LogLevel) => (msg: string, fields?: LogFields) => {
      if (RANK[level] < threshold) return;
      write(render({ time: new Date(now()).toISOString(), level, msg }, bound, fields));
    };
    return {
      debug: log('debug'),
      info: log('info'),
      warn: log('warn'),
      error: log('error'),
      with: (fields) => make({ ...bound, ...fields }),
      enabled: (level) => RANK[level] >= threshold,
    };
  }
}

function render(
  head: { time: string; level: LogLevel; msg: string },
  bound: LogFields,
  fields: LogFields | undefined,
): string {
  try {
    // The head comes last in the spread as well as first, so that no field can pose as it.
    const body = redact({ ...bound, ...fields }) as object;
    return `${JSON.stringify({ ...head, ...body, ...head, msg: redact(head.msg) })}\n`;
  } catch (error) {
    // A getter that throws, or an object that cannot be written: the line must not be lost with it, nor the caller fail.
    return `${JSON.stringify({ ...head, logError: String(error) })}\n`;
  }
}

/** A logger that writes nothing. */
export const silentLogger: Logger = createLogger({ write: () => {} });
