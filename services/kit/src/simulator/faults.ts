import { createHash } from 'node:crypto';

/**
 * How a company's API can fail its caller, other than by saying no:
 * timeout: does the work, answers after the caller has given up; late: does the work, answers slowly but in time;
 * error: 500, nothing done; error_after: 500, though the work was done; drop: does the work, then cuts the connection;
 * html: a proxy's HTML page, nothing done; double: the request arrives twice;
 * ghost: no answer in time, and the work is done later, when the caller may have stopped expecting it.
 */
export const FAULTS = ['timeout', 'late', 'error', 'error_after', 'drop', 'html', 'double', 'ghost'] as const;

/** @see FAULTS */
export type Fault = (typeof FAULTS)[number];

/** When the work of one request is done and how its answer travels. */
export interface FaultPlan {
  /** When the work is done; `never` for a request that got lost on its way in. */
  readonly work: 'now' | 'later' | 'never';
  /** The request arrives a second time. */
  readonly twice: boolean;
  /** What the caller sees. */
  readonly delivery: 'answer' | 'error' | 'html' | 'drop';
  /** How long the answer takes, and, for work done later, when it is done; in milliseconds. */
  readonly delayMs: number;
}

/** The delays of a simulator, in milliseconds. */
export interface FaultTimes {
  /** Slow, but within the caller's time-out. @default 800 */
  readonly lateMs: number;
  /** Longer than the caller's time-out. @default 10000 */
  readonly timeoutMs: number;
}

/** The default delays. They fit a caller that gives up after 2 s. */
export const DEFAULT_FAULT_TIMES: FaultTimes = { lateMs: 800, timeoutMs: 10_000 };

/** The plan that a fault stands for; no fault is a prompt answer. */
export function planOf(fault: Fault | undefined, times: FaultTimes): FaultPlan {
  const prompt: FaultPlan = { work: 'now', twice: false, delivery: 'answer', delayMs: 0 };
  switch (fault) {
    case undefined:
      return prompt;
    case 'timeout':
      return { ...prompt, delayMs: times.timeoutMs };
    case 'late':
      return { ...prompt, delayMs: times.lateMs };
    case 'error':
      return { ...prompt, work: 'never', delivery: 'error' };
    case 'error_after':
      return { ...prompt, delivery: 'error' };
    case 'drop':
      return { ...prompt, delivery: 'drop' };
    case 'html':
      return { ...prompt, work: 'never', delivery: 'html' };
    case 'double':
      return { ...prompt, twice: true };
    case 'ghost':
      return { ...prompt, work: 'later', delayMs: times.timeoutMs };
  }
}

/** Chances of each fault, each from 0 to 1, together at most 1, and the seed that decides who is hit. */
export interface FaultRates {
  readonly seed: string;
  readonly rates: ReadonlyMap<Fault, number>;
}

/** No random faults. */
export const NO_FAULTS: FaultRates = { seed: '', rates: new Map() };

/**
 * Rates from text as `timeout=0.01,error=0.02`. Throws an Error that names the entry when a fault is not known, a rate is not
 * from 0 to 1, or all together exceed 1.
 */
export function parseFaultRates(seed: string, text: string): FaultRates {
  const rates = new Map<Fault, number>();
  for (const entry of text.split(',').filter((part) => part.trim() !== '')) {
    const [name = '', value = ''] = entry.split('=').map((part) => part.trim());
    const fault = FAULTS.find((known) => known === name);
    const rate = Number(value);
    if (fault === undefined) throw new Error(`fault rate "${entry}": "${name}" is none of ${FAULTS.join(', ')}`);
    if (value === '' || !(rate >= 0 && rate <= 1)) throw new Error(`fault rate "${entry}": use a number from 0 to 1`);
    rates.set(fault, rate);
  }
  const total = [...rates.values()].reduce((sum, rate) => sum + rate, 0);
  if (total > 1) throw new Error(`the fault rates add up to ${total}: at most 1`);
  return { seed, rates };
}

/**
 * The fault that hits this attempt of this reference, or none. A hash of seed, reference and attempt decides: the same run meets
 * the same faults, in whatever order its requests arrive.
 */
export function rollFault(rates: FaultRates, reference: string, attempt: number): Fault | undefined {
  if (rates.rates.size === 0) return undefined;
  let left = unitHash(`${rates.seed}\n${reference}\n${attempt}`);
  for (const [fault, rate] of rates.rates) {
    if (left < rate) return fault;
    left -= rate;
  }
  return undefined;
}

/** A number from 0 (inclusive) to 1 (exclusive) that is a function of the text: 48 bits of its SHA-256. */
export function unitHash(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}
