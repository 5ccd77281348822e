import type { Fault } from '@mercato/kit/simulator/faults.ts';

/**
 * What an address asks the simulated carrier to do: `sim:<behaviour>` anywhere in `line1` ("sim:slow 1 High Street") concerns the
 * booking, `sim:cancel_<behaviour>` its cancellation.
 */
export interface CarrierScript {
  readonly operation: 'book' | 'cancel';
  readonly behaviour: CarrierBehaviour;
}

/** Every behaviour that an address can ask for. */
export type CarrierBehaviour = keyof typeof BEHAVIOURS;

interface BehaviourRule {
  readonly fault?: Fault;
  /** once: the first attempt of a reference only; until-done: each attempt until the work is done. */
  readonly when?: 'always' | 'once' | 'until-done';
  readonly refuse?: 'address_undeliverable' | 'no_service';
  /** The booking is accepted, and decided later. */
  readonly pending?: boolean;
  /** Picked up as soon as it is booked. */
  readonly pickUpNow?: boolean;
}

const BEHAVIOURS = {
  undeliverable: { refuse: 'address_undeliverable' },
  no_service: { refuse: 'no_service' },
  slow: { pending: true },
  slow_undeliverable: { pending: true, refuse: 'address_undeliverable' },
  quick_pickup: { pickUpNow: true },
  timeout: { fault: 'timeout', when: 'once' },
  late: { fault: 'late', when: 'always' },
  double: { fault: 'double', when: 'once' },
  error_once: { fault: 'error', when: 'once' },
  error_after: { fault: 'error_after', when: 'once' },
  error: { fault: 'error', when: 'always' },
  drop: { fault: 'drop', when: 'once' },
  html: { fault: 'html', when: 'always' },
  ghost: { fault: 'ghost', when: 'until-done' },
} as const satisfies Record<string, BehaviourRule>;

/** What the address line asks for, or undefined for a plain one. */
export function scriptOf(line1: string | undefined): CarrierScript | undefined {
  const text = /\bsim:([a-z_]+)/.exec(line1 ?? '')?.[1];
  if (text === undefined) return undefined;
  const operation = text.startsWith('cancel_') ? 'cancel' : 'book';
  const behaviour = operation === 'cancel' ? text.slice('cancel_'.length) : text;
  return Object.hasOwn(BEHAVIOURS, behaviour) ? { operation, behaviour: behaviour as CarrierBehaviour } : undefined;
}

/** What the script says of an operation; nothing in particular when it concerns another. */
export function ruleOf(script: CarrierScript | undefined, operation: 'book' | 'cancel'): BehaviourRule {
  return script?.operation === operation ? BEHAVIOURS[script.behaviour] : {};
}

/** The fault that the script gives this attempt (from 1) of an operation. */
export function scriptedFault(rule: BehaviourRule, attempt: number, isDone: boolean): Fault | undefined {
  if (rule.when === 'once') return attempt === 1 ? rule.fault : undefined;
  return rule.when === 'until-done' && isDone ? undefined : rule.fault;
}
