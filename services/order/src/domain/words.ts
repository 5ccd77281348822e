/** Why an order is where it is, for its customer: a reason for programs and a sentence for people. */
export interface Notice {
  readonly reason: string;
  readonly message: string;
}

/** Business failures that a customer may be told of, in words of theirs. Everything else is our own affair. */
const FAILURES: Readonly<Record<string, string>> = {
  OutOfStock: 'Something that you ordered is out of stock.',
  UnknownSku: 'Something that you ordered is not sold any more.',
  ReservationExpired: 'The goods could not be held for you long enough.',
  CardDeclined: 'Your bank declined the payment.',
  CaptureDeclined: 'Your bank declined the payment.',
  TokenUnknown: 'Your card details are not valid any more: please enter them again.',
  AddressUndeliverable: 'We cannot deliver to this address.',
  NoService: 'We do not deliver to this place.',
};

const NOT_CHARGED = 'You have not been charged.';

/** What a failed order's customer is told. What we do not want to say is `NotPossible`: a saga's own words may name our systems and staff. */
export function failureNotice(reason: string | undefined): Notice {
  if (reason !== undefined && Object.hasOwn(FAILURES, reason))
    return { reason, message: `${FAILURES[reason]} ${NOT_CHARGED}` };
  return { reason: 'NotPossible', message: `We could not carry out your order. ${NOT_CHARGED}` };
}

export const heldNotice: Notice = {
  reason: 'NeedsAttention',
  message:
    'Your order needs a look from our staff. It goes on by itself afterwards; there is nothing that you need do.',
};

export const cancelledNotice: Notice = {
  reason: 'Cancelled',
  message: `Your order is cancelled. ${NOT_CHARGED}`,
};

export const cancelTooLateNotice: Notice = {
  reason: 'CancelTooLate',
  message: 'Your order was already on its way when you cancelled it.',
};

export const abortedNotice: Notice = {
  reason: 'Ended',
  message: 'Our staff ended your order. They will write to you about goods or payments that are open.',
};
