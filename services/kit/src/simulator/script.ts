import type { Fault } from './faults.ts';

/** When a behaviour that an order asked for shows a fault. */
export interface FaultRule {
  readonly fault?: Fault;
  /** once: the first attempt of a reference only; until-done: each attempt until the work is done. */
  readonly when?: 'always' | 'once' | 'until-done';
}

/** The faults of any outside company that an order can ask for by name. */
export const FAULT_BEHAVIOURS = {
  timeout: { fault: 'timeout', when: 'once' },
  late: { fault: 'late', when: 'always' },
  double: { fault: 'double', when: 'once' },
  error_once: { fault: 'error', when: 'once' },
  error_after: { fault: 'error_after', when: 'once' },
  error: { fault: 'error', when: 'always' },
  drop: { fault: 'drop', when: 'once' },
  html: { fault: 'html', when: 'always' },
  ghost: { fault: 'ghost', when: 'until-done' },
} as const satisfies Record<string, FaultRule>;

/** The fault that a rule gives this attempt (from 1) of an operation. */
export function scriptedFault(rule: FaultRule, attempt: number, isDone: boolean): Fault | undefined {
  if (rule.when === 'once') return attempt === 1 ? rule.fault : undefined;
  return rule.when === 'until-done' && isDone ? undefined : rule.fault;
}
