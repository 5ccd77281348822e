import { type DestinationStream, type Logger, pino } from 'pino';

/** Fields whose value never reaches a log, at any depth that our log calls use. */
const secret = ['authorization', 'paymentToken', 'token', 'cardNumber', 'pan', 'cvv', 'cvc'];
const redacted = secret.flatMap((name) => [name, `*.${name}`, `*.*.${name}`, `*.*.*.${name}`]);

export type { Logger };

/** A logger that writes one JSON object a line, with RFC 3339 times and secrets replaced by `[redacted]`. */
export function createLogger(service: string, level = 'info', destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { service },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: redacted, censor: '[redacted]' },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
