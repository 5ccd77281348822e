import { FAULT_BEHAVIOURS, type FaultRule } from '@mercato/kit/simulator/script.ts';

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

interface BehaviourRule extends FaultRule {
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
  ...FAULT_BEHAVIOURS,
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
