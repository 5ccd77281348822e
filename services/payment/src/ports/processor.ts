import type { Currency, MinorUnits } from '../domain/money.ts';
import type { PaymentToken } from '../domain/payment-token.ts';
import type { Reference } from '../domain/reference.ts';

/** The processor's own id of an authorisation or a capture. Opaque. */
export type ProcessorId = string & { readonly __brand: 'ProcessorId' };

/**
 * What the payment service needs of whoever moves the money. Every call carries our reference: the same reference names the
 * same operation for ever, so a call may be repeated, and `lookup` finds what an answer that was lost has said. No method
 * throws for anything that the other side does: a time-out, a 5xx, HTML or bad JSON is the outcome `unknown`.
 */
export interface PaymentProcessor {
  /** Holds the amount on the card behind the token. */
  authorise(request: AuthoriseRequest): Promise<Outcome<{ readonly id: ProcessorId; readonly expiresAt: string }>>;
  /** Takes an amount, at most what the authorisation still holds. */
  capture(request: CaptureRequest): Promise<Outcome<{ readonly id: ProcessorId }>>;
  /** Lets a held amount go. Voiding what is voided or expired is approved again. */
  void(request: VoidRequest): Promise<Outcome<unknown>>;
  /** Returns an amount, at most what the capture took and has not returned. */
  refund(request: RefundRequest): Promise<Outcome<{ readonly id: ProcessorId }>>;
  /** What became of the operation of this reference. `absent` is true now; a request on its way may still arrive. */
  lookup(query: LookupQuery): Promise<Lookup>;
}

interface Operation {
  readonly reference: Reference;
  /** `namespace/saga/orderId`: what the processor's log can be joined on. */
  readonly orderKey: string;
}

/** @see PaymentProcessor.authorise */
export interface AuthoriseRequest extends Operation {
  readonly token: PaymentToken;
  readonly amount: MinorUnits;
  readonly currency: Currency;
}

/** @see PaymentProcessor.capture */
export interface CaptureRequest extends Operation {
  readonly authorisation: ProcessorId;
  readonly amount: MinorUnits;
  readonly currency: Currency;
}

/** @see PaymentProcessor.void */
export interface VoidRequest extends Operation {
  readonly authorisation: ProcessorId;
}

/** @see PaymentProcessor.refund */
export interface RefundRequest extends Operation {
  readonly capture: ProcessorId;
  readonly amount: MinorUnits;
  readonly currency: Currency;
}

/** Which operation to look for. Processors keep authorisations and what follows them in different places. */
export interface LookupQuery {
  readonly reference: Reference;
  readonly operation: OperationKind;
  /** For captures, voids and refunds: what they were done to. */
  readonly target?: ProcessorId;
}

/** The four operations of a processor. */
export type OperationKind = 'authorise' | 'capture' | 'void' | 'refund';

/** Why a processor said no, in our words. */
export type DeclineReason =
  | 'card_declined'
  | 'insufficient_funds'
  | 'token_unknown'
  | 'amount_invalid'
  | 'authorisation_unknown'
  | 'authorisation_expired'
  | 'already_captured'
  | 'capture_unknown'
  | 'capture_declined'
  | 'refund_declined';

/** What a call came to. `unknown` means that it may or may not have been carried out. */
export type Outcome<T> =
  | ({ readonly outcome: 'approved' } & T)
  | { readonly outcome: 'declined'; readonly reason: DeclineReason; readonly detail: string }
  | { readonly outcome: 'unknown'; readonly detail: string };

/** What a look-up came to. */
export type Lookup =
  | {
      readonly outcome: 'approved';
      readonly id: ProcessorId;
      readonly expiresAt?: string;
      /** For an authorisation: whether money is still held under it. */
      readonly open?: boolean;
    }
  | { readonly outcome: 'declined'; readonly reason: DeclineReason; readonly detail: string }
  | { readonly outcome: 'absent' }
  | { readonly outcome: 'unknown'; readonly detail: string };
