import { hash } from 'node:crypto';
import { letters } from '@mercato/kit/ordered-name.ts';
import type { DeclineReason, OperationKind } from '../ports/processor.ts';
import { type Script, scriptedDecline, scriptedHold, scriptOf } from './script.ts';

/** A request to move money, as the acquirer understands it. Amounts are integers of minor units. */
export type Instruction =
  | {
      readonly operation: 'authorise';
      readonly reference: string;
      readonly orderKey: string;
      readonly token: string;
      readonly amount: number;
      readonly currency: string;
    }
  | {
      readonly operation: 'capture' | 'refund';
      readonly reference: string;
      readonly orderKey: string;
      /** The authorisation to capture from, or the capture to refund. */
      readonly target: string;
      readonly amount: number;
      readonly currency: string;
    }
  | { readonly operation: 'void'; readonly reference: string; readonly orderKey: string; readonly target: string };

/**
 * One line of the acquirer's log: the truth about what happened to money, whatever anybody was told. `approved` and `declined`
 * occur once for a reference; `repeated` marks each further arrival of it, which changed nothing.
 */
export interface AcquirerEntry {
  /** RFC 3339. */
  readonly at: string;
  readonly operation: OperationKind;
  readonly reference: string;
  /** `namespace/saga/orderId`. */
  readonly orderKey: string;
  readonly outcome: 'approved' | 'declined' | 'repeated';
  readonly reason?: DeclineReason;
  /** The acquirer's id of the authorisation, capture, void or refund; only if approved. */
  readonly id?: string;
  readonly target?: string;
  /** Of what was asked for; for a void, of what it let go. */
  readonly amount: number;
  readonly currency: string;
  /** Authorisations: when the hold ends, RFC 3339. */
  readonly expiresAt?: string;
  /** What the token asked for. The token itself is not kept. */
  readonly script?: Script;
}

interface Authorisation {
  readonly entry: AcquirerEntry;
  captured: number;
  voided: boolean;
}

interface Captured {
  readonly entry: AcquirerEntry;
  refunded: number;
}

/** What a look-up by reference finds. */
export interface Found {
  readonly entry: AcquirerEntry;
  /** Authorisations: whether money is still held and none was captured. */
  readonly open: boolean;
}

const HOLD_MS = 7 * 86_400_000;

/**
 * The acquirer's books. `decide` says what an instruction comes to, `apply` enters it; the books are a fold over the log, so
 * they are the same after a restart. It recognises a reference that it has seen, as real acquirers do, and then moves nothing.
 */
export class Ledger {
  readonly #byReference = new Map<string, AcquirerEntry>();
  readonly #authorisations = new Map<string, Authorisation>();
  readonly #captures = new Map<string, Captured>();

  /** What was decided for a reference, or undefined. */
  find(reference: string, nowMs: number): Found | undefined {
    const entry = this.#byReference.get(reference);
    if (entry === undefined) return undefined;
    const authorisation = entry.id === undefined ? undefined : this.#authorisations.get(entry.id);
    return { entry, open: authorisation !== undefined && isOpen(authorisation, nowMs) };
  }

  /** What the token of the authorisation behind an instruction asks for. */
  scriptFor(instruction: Instruction): Script | undefined {
    if (instruction.operation === 'authorise') return scriptOf(instruction.token);
    return this.#authorisationBehind(instruction)?.entry.script;
  }

  /**
   * The entry for an instruction: approved, declined, or the first entry marked repeated. `unlucky` declines an authorisation
   * that would be approved. Throws a LedgerConflict when the reference was used for something else.
   */
  decide(instruction: Instruction, nowMs: number, unlucky: boolean): AcquirerEntry {
    const at = new Date(nowMs).toISOString();
    const known = this.#byReference.get(instruction.reference);
    if (known !== undefined) {
      if (!isSame(known, instruction)) throw new LedgerConflict(instruction.reference);
      return { ...known, at, outcome: 'repeated' };
    }
    const target = instruction.operation === 'authorise' ? {} : { target: instruction.target };
    const money = this.#moneyOf(instruction);
    const { operation, reference, orderKey } = instruction;
    const script = this.scriptFor(instruction);
    const entry = {
      at,
      operation,
      reference,
      orderKey,
      ...target,
      ...money,
      ...(operation === 'authorise' && script !== undefined ? { script } : {}),
    };
    const reason = this.#refusal(instruction, nowMs) ?? scriptedDecline(script, operation) ?? luck(operation, unlucky);
    if (reason !== undefined) return { ...entry, outcome: 'declined', reason };
    const hold = nowMs + (scriptedHold(script) ?? HOLD_MS);
    return {
      ...entry,
      outcome: 'approved',
      id: idOf(operation, reference),
      ...(operation === 'authorise' ? { expiresAt: new Date(hold).toISOString() } : {}),
    };
  }

  /** Enters a decided or a logged entry. Repeats change nothing. */
  apply(entry: AcquirerEntry): void {
    if (entry.outcome === 'repeated') return;
    this.#byReference.set(entry.reference, entry);
    if (entry.outcome === 'declined' || entry.id === undefined) return;
    const target = entry.target ?? '';
    switch (entry.operation) {
      case 'authorise':
        this.#authorisations.set(entry.id, { entry, captured: 0, voided: false });
        return;
      case 'capture': {
        this.#captures.set(entry.id, { entry, refunded: 0 });
        const authorisation = this.#authorisations.get(target);
        if (authorisation !== undefined) authorisation.captured += entry.amount;
        return;
      }
      case 'void': {
        const authorisation = this.#authorisations.get(target);
        if (authorisation !== undefined) authorisation.voided = true;
        return;
      }
      case 'refund': {
        const capture = this.#captures.get(target);
        if (capture !== undefined) capture.refunded += entry.amount;
        return;
      }
    }
  }

  #refusal(instruction: Instruction, nowMs: number): DeclineReason | undefined {
    switch (instruction.operation) {
      case 'authorise':
        return instruction.amount > 0 ? undefined : 'amount_invalid';
      case 'capture': {
        const authorisation = this.#authorisations.get(instruction.target);
        if (authorisation === undefined || authorisation.voided) return 'authorisation_unknown';
        if (hasEnded(authorisation, nowMs)) return 'authorisation_expired';
        const left = authorisation.entry.amount - authorisation.captured;
        return fits(instruction, authorisation.entry.currency, left) ? undefined : 'amount_invalid';
      }
      case 'void': {
        const authorisation = this.#authorisations.get(instruction.target);
        if (authorisation === undefined) return 'authorisation_unknown';
        return authorisation.captured > 0 ? 'already_captured' : undefined;
      }
      case 'refund': {
        const capture = this.#captures.get(instruction.target);
        if (capture === undefined) return 'capture_unknown';
        const left = capture.entry.amount - capture.refunded;
        return fits(instruction, capture.entry.currency, left) ? undefined : 'amount_invalid';
      }
    }
  }

  #moneyOf(instruction: Instruction): { amount: number; currency: string } {
    if (instruction.operation !== 'void') return { amount: instruction.amount, currency: instruction.currency };
    const authorised = this.#authorisations.get(instruction.target)?.entry;
    return { amount: authorised?.amount ?? 0, currency: authorised?.currency ?? '' };
  }

  #authorisationBehind(instruction: Exclude<Instruction, { operation: 'authorise' }>): Authorisation | undefined {
    const id =
      instruction.operation === 'refund' ? this.#captures.get(instruction.target)?.entry.target : instruction.target;
    return id === undefined ? undefined : this.#authorisations.get(id);
  }
}

/** A reference was used again for another instruction; nothing was moved. */
export class LedgerConflict extends Error {
  readonly reference: string;
  constructor(reference: string) {
    super(`reference ${reference} was used for another instruction`);
    this.name = 'LedgerConflict';
    this.reference = reference;
  }
}

function isOpen(authorisation: Authorisation, nowMs: number): boolean {
  return !authorisation.voided && authorisation.captured === 0 && !hasEnded(authorisation, nowMs);
}

function hasEnded(authorisation: Authorisation, nowMs: number): boolean {
  return Date.parse(authorisation.entry.expiresAt ?? '') <= nowMs;
}

function fits(asked: { amount: number; currency: string }, currency: string, left: number): boolean {
  return asked.currency === currency && asked.amount > 0 && asked.amount <= left;
}

function luck(operation: OperationKind, unlucky: boolean): DeclineReason | undefined {
  return unlucky && operation === 'authorise' ? 'card_declined' : undefined;
}

function isSame(known: AcquirerEntry, instruction: Instruction): boolean {
  if (known.operation !== instruction.operation || known.orderKey !== instruction.orderKey) return false;
  if (instruction.operation !== 'authorise' && known.target !== instruction.target) return false;
  if (instruction.operation === 'void') return true;
  return known.amount === instruction.amount && known.currency === instruction.currency;
}

/** Ids are functions of the reference, so that the same run has the same ids; letters only, as nothing here may look like a card number. */
function idOf(operation: OperationKind, reference: string): string {
  return `aq_${operation}_${letters(hash('sha256', `${operation}\n${reference}`, 'hex').slice(0, 24))}`;
}
