import type { Fault } from '@mercato/kit/simulator/faults.ts';
import { FAULT_BEHAVIOURS, type FaultRule, scriptedFault as faultOf } from '@mercato/kit/simulator/script.ts';
import type { DeclineReason, OperationKind } from '../ports/processor.ts';

/**
 * What a token asks the simulated acquirer to do. `tok_<behaviour>` concerns the authorisation, `tok_<operation>_<behaviour>` a
 * later operation (`tok_capture_declined`, `tok_void_timeout`); what follows a dash is ignored, so that orders can have tokens of
 * their own (`tok_declined-4711`). Any other token is approved promptly.
 */
export interface Script {
  readonly operation: OperationKind;
  readonly behaviour: Behaviour;
}

/** Every behaviour that a token can ask for. */
export type Behaviour = keyof typeof BEHAVIOURS;

interface BehaviourRule extends FaultRule {
  /** Says no, for this reason. */
  readonly decline?: DeclineReason;
  /** How long the money is held, in milliseconds. */
  readonly holdMs?: number;
}

const BEHAVIOURS = {
  declined: { decline: 'card_declined' },
  insufficient_funds: { decline: 'insufficient_funds' },
  unknown: { decline: 'token_unknown' },
  ...FAULT_BEHAVIOURS,
  short_hold: { holdMs: 1_000 },
} as const satisfies Record<string, BehaviourRule>;

const LATER_OPERATIONS: readonly OperationKind[] = ['capture', 'void', 'refund'];

/** What the token asks for, or undefined for a plain one. */
export function scriptOf(token: string): Script | undefined {
  const text = token.replace(/^tok_/, '').split('-')[0] ?? '';
  const operation = LATER_OPERATIONS.find((name) => text.startsWith(`${name}_`)) ?? 'authorise';
  const behaviour = operation === 'authorise' ? text : text.slice(operation.length + 1);
  return Object.hasOwn(BEHAVIOURS, behaviour) ? { operation, behaviour: behaviour as Behaviour } : undefined;
}

/** Why the script declines this operation, or undefined when it does not. */
export function scriptedDecline(script: Script | undefined, operation: OperationKind): DeclineReason | undefined {
  const decline = ruleOf(script, operation)?.decline;
  if (decline === undefined) return undefined;
  if (operation === 'capture') return 'capture_declined';
  return operation === 'refund' ? 'refund_declined' : decline;
}

/** The fault that the script gives this attempt (from 1) of an operation. */
export function scriptedFault(
  script: Script | undefined,
  operation: OperationKind,
  attempt: number,
  isDone: boolean,
): Fault | undefined {
  return faultOf(ruleOf(script, operation) ?? {}, attempt, isDone);
}

/** How long the script lets the hold last, in milliseconds, or undefined for the usual time. */
export function scriptedHold(script: Script | undefined): number | undefined {
  return ruleOf(script, 'authorise')?.holdMs;
}

function ruleOf(script: Script | undefined, operation: OperationKind): BehaviourRule | undefined {
  return script?.operation === operation ? BEHAVIOURS[script.behaviour] : undefined;
}
