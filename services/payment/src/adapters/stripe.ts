import type { Exchange, Exchanged } from '@mercato/kit/exchange.ts';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import type { DeclineReason, Lookup, LookupQuery, Outcome, PaymentProcessor, ProcessorId } from '../ports/processor.ts';

/** How to reach Stripe. */
export interface StripeOptions {
  readonly exchange: Exchange;
  /** `sk_...`; sent as a bearer token, never logged. */
  readonly secretKey: string;
}

/** The fields that we read of a PaymentIntent; Stripe sends many more. */
const PaymentIntent = Type.Object({
  id: Type.String({ minLength: 1 }),
  object: Type.Literal('payment_intent'),
  status: Type.String(),
  created: Type.Integer(),
  amount: Type.Integer(),
  currency: Type.String(),
  cancellation_reason: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  metadata: Type.Optional(Type.Record(Type.String(), Type.String())),
  latest_charge: Type.Optional(
    Type.Union([
      Type.Null(),
      Type.String(),
      Type.Object({
        payment_method_details: Type.Optional(
          Type.Object({ card: Type.Optional(Type.Object({ capture_before: Type.Optional(Type.Integer()) })) }),
        ),
      }),
    ]),
  ),
});
type PaymentIntent = Static<typeof PaymentIntent>;

const Refund = Type.Object({
  id: Type.String({ minLength: 1 }),
  object: Type.Literal('refund'),
  status: Type.Union([Type.String(), Type.Null()]),
  metadata: Type.Optional(Type.Record(Type.String(), Type.String())),
});
const Found = Type.Object({ data: Type.Array(Type.Unknown()) });
const Failed = Type.Object({
  error: Type.Object({
    type: Type.String(),
    code: Type.Optional(Type.String()),
    decline_code: Type.Optional(Type.String()),
    message: Type.Optional(Type.String()),
  }),
});

/** Stripe's default for cards, when a charge does not say `capture_before`. */
const DEFAULT_HOLD_SECONDS = 7 * 86_400;

/**
 * A PaymentProcessor on Stripe's API: a PaymentIntent with `capture_method=manual` is the authorisation, its id also names its
 * capture (an account without multicapture has one at most, and what it leaves goes back to the card).
 *
 * Our reference is the Idempotency-Key of each POST and `metadata[reference]` of what it made. Stripe remembers keys for 24 hours
 * and searches with a lag of up to a minute (an hour when it is unwell), so `absent` here means "not searchable yet": repeating
 * the call under the same key is safe, and the reconciler goes on looking for what was voided.
 */
export function stripe(options: StripeOptions): PaymentProcessor {
  const api = stripeApi(options);
  return {
    async authorise({ reference, orderKey, token, amount, currency }) {
      const answer = await api.post('/v1/payment_intents', reference, {
        amount: String(amount),
        currency: currency.toLowerCase(),
        capture_method: 'manual',
        confirm: 'true',
        error_on_requires_action: 'true',
        'payment_method_types[]': 'card',
        'payment_method_data[type]': 'card',
        'payment_method_data[card][token]': token,
        'metadata[reference]': reference,
        'metadata[order]': orderKey,
        'expand[]': 'latest_charge',
      });
      const read = (intent: PaymentIntent) =>
        intent.status === 'requires_capture'
          ? { outcome: 'approved' as const, id: intent.id as ProcessorId, expiresAt: expiryOf(intent) }
          : { outcome: 'unknown' as const, detail: `the PaymentIntent is ${intent.status}` };
      return outcomeOf(answer, PaymentIntent, read, 'token_unknown');
    },

    async capture({ reference, authorisation, amount }) {
      const answer = await api.post(`/v1/payment_intents/${encodeURIComponent(authorisation)}/capture`, reference, {
        amount_to_capture: String(amount),
        'metadata[capture_reference]': reference,
      });
      const outcome = outcomeOf(answer, PaymentIntent, (intent) => ({
        outcome: 'approved' as const,
        id: intent.id as ProcessorId,
      }));
      if (outcome.outcome !== 'declined' || outcome.reason !== 'authorisation_unknown') return outcome;
      // "Unexpected state" says neither which nor why; the PaymentIntent does.
      const seen = await lookupCapture(api, { reference, operation: 'capture', target: authorisation });
      return seen.outcome === 'absent'
        ? { outcome: 'unknown', detail: 'the capture was refused, yet nothing forbids it' }
        : seen;
    },

    async void({ reference, authorisation }) {
      const path = `/v1/payment_intents/${encodeURIComponent(authorisation)}/cancel`;
      const answer = await api.post(path, reference, {});
      const outcome = outcomeOf(answer, PaymentIntent, () => ({ outcome: 'approved' as const }));
      if (outcome.outcome !== 'declined' || outcome.reason !== 'authorisation_unknown') return outcome;
      const seen = await lookupVoid(api, authorisation);
      return seen.outcome === 'absent' ? { outcome: 'unknown', detail: 'the cancellation was refused' } : seen;
    },

    async refund({ reference, capture, amount }) {
      const answer = await api.post('/v1/refunds', reference, {
        payment_intent: capture,
        amount: String(amount),
        'metadata[reference]': reference,
      });
      return outcomeOf(answer, Refund, refundOutcome, 'capture_unknown');
    },

    lookup(query) {
      if (query.operation === 'authorise') return lookupAuthorisation(api, query.reference);
      if (query.operation === 'capture') return lookupCapture(api, query);
      if (query.operation === 'refund') return lookupRefund(api, query);
      if (query.target === undefined)
        return Promise.resolve({ outcome: 'unknown', detail: 'a void is found by its target' });
      return lookupVoid(api, query.target);
    },
  };
}

interface StripeApi {
  get(path: string, query: Readonly<Record<string, string>>): Promise<Exchanged>;
  post(path: string, idempotencyKey: string, form: Readonly<Record<string, string>>): Promise<Exchanged>;
}

function stripeApi({ exchange, secretKey }: StripeOptions): StripeApi {
  const authorization = `Bearer ${secretKey}`;
  return {
    get: (path, query) =>
      exchange({ method: 'GET', path: `${path}?${new URLSearchParams(query)}`, headers: { authorization } }),
    post: (path, idempotencyKey, form) =>
      exchange({
        method: 'POST',
        path,
        headers: {
          authorization,
          'content-type': 'application/x-www-form-urlencoded',
          'idempotency-key': idempotencyKey,
        },
        body: new URLSearchParams(form).toString(),
      }),
  };
}

async function lookupAuthorisation(api: StripeApi, reference: string): Promise<Lookup> {
  const query = `metadata['reference']:'${reference}'`;
  const answer = await api.get('/v1/payment_intents/search', { query, limit: '1', 'expand[]': 'data.latest_charge' });
  return outcomeOf(answer, Found, ({ data }): Lookup => {
    const intent = data[0];
    if (intent === undefined) return { outcome: 'absent' };
    if (!Value.Check(PaymentIntent, intent))
      return { outcome: 'unknown', detail: 'what was found is no PaymentIntent' };
    if (intent.status === 'requires_payment_method') {
      return {
        outcome: 'declined',
        reason: 'card_declined',
        detail: 'the PaymentIntent has no payment method that worked',
      };
    }
    if (!['requires_capture', 'succeeded', 'canceled'].includes(intent.status)) {
      return { outcome: 'unknown', detail: `the PaymentIntent is ${intent.status}` };
    }
    const open = intent.status === 'requires_capture';
    return { outcome: 'approved', id: intent.id as ProcessorId, expiresAt: expiryOf(intent), open };
  });
}

async function lookupCapture(api: StripeApi, query: LookupQuery): Promise<Lookup> {
  const answer = await getIntent(api, query.target);
  return outcomeOf(answer, PaymentIntent, (intent): Lookup => {
    if (intent.status === 'requires_capture') return { outcome: 'absent' };
    if (intent.status === 'succeeded') {
      if (intent.metadata?.['capture_reference'] === query.reference) {
        return { outcome: 'approved', id: intent.id as ProcessorId };
      }
      return { outcome: 'declined', reason: 'already_captured', detail: 'another capture took the authorisation' };
    }
    if (intent.status !== 'canceled') return { outcome: 'unknown', detail: `the PaymentIntent is ${intent.status}` };
    const hasExpired = intent.cancellation_reason === 'automatic' || intent.cancellation_reason === 'expired';
    const reason = hasExpired ? 'authorisation_expired' : 'authorisation_unknown';
    return { outcome: 'declined', reason, detail: `the PaymentIntent was cancelled (${intent.cancellation_reason})` };
  });
}

async function lookupVoid(api: StripeApi, target: ProcessorId): Promise<Lookup> {
  const answer = await getIntent(api, target);
  return outcomeOf(answer, PaymentIntent, (intent): Lookup => {
    if (intent.status === 'canceled') return { outcome: 'approved', id: intent.id as ProcessorId };
    if (intent.status !== 'succeeded') return { outcome: 'absent' };
    return { outcome: 'declined', reason: 'already_captured', detail: 'the PaymentIntent was captured' };
  });
}

async function lookupRefund(api: StripeApi, { reference, target }: LookupQuery): Promise<Lookup> {
  if (target === undefined) return { outcome: 'unknown', detail: 'a refund is found by its capture' };
  const answer = await api.get('/v1/refunds', { payment_intent: target, limit: '100' });
  return outcomeOf(answer, Found, ({ data }): Lookup => {
    const refund = data.find((each) => Value.Check(Refund, each) && each.metadata?.['reference'] === reference);
    return refund === undefined ? { outcome: 'absent' } : refundOutcome(refund as Static<typeof Refund>);
  });
}

function getIntent(api: StripeApi, target: ProcessorId | undefined): Promise<Exchanged> {
  return api.get(`/v1/payment_intents/${encodeURIComponent(target ?? '')}`, { 'expand[]': 'latest_charge' });
}

function refundOutcome(refund: Static<typeof Refund>): Outcome<{ readonly id: ProcessorId }> {
  if (refund.status === 'succeeded' || refund.status === 'pending') {
    return { outcome: 'approved', id: refund.id as ProcessorId };
  }
  if (refund.status === 'failed' || refund.status === 'canceled') {
    return { outcome: 'declined', reason: 'refund_declined', detail: `the refund is ${refund.status}` };
  }
  return { outcome: 'unknown', detail: `the refund is ${refund.status}` };
}

type Bad = Exclude<Outcome<unknown>, { outcome: 'approved' }>;

/**
 * Reads an answer: what fits the schema by `read`, Stripe's refusals as declined, all else as unknown. `missing` is what it means
 * when Stripe does not know something that the request names.
 */
function outcomeOf<S extends typeof PaymentIntent | typeof Refund | typeof Found, R>(
  exchanged: Exchanged,
  schema: S,
  read: (value: Static<S>) => R,
  missing: DeclineReason = 'authorisation_unknown',
): R | Bad {
  if (exchanged.kind === 'unknown') return { outcome: 'unknown', detail: exchanged.detail };
  const { status, body } = exchanged;
  if (status === 200 && Value.Check(schema, body)) return read(body);
  if (status >= 400 && status < 500 && Value.Check(Failed, body)) {
    const reason = body.error.code === 'resource_missing' ? missing : declineOf(status, body.error);
    // Not Stripe's message: it can quote what was sent.
    const detail = `Stripe says ${body.error.decline_code ?? body.error.code ?? body.error.type}`;
    return reason === undefined ? { outcome: 'unknown', detail } : { outcome: 'declined', reason, detail };
  }
  return { outcome: 'unknown', detail: `Stripe answered ${status}` };
}

/** Why Stripe refused, or undefined when the refusal says nothing about the payment (a key in use, a rate limit, a bad secret). */
function declineOf(status: number, error: Static<typeof Failed>['error']): DeclineReason | undefined {
  if (status === 409 || status === 429 || status === 401 || status === 403) return undefined;
  if (error.type === 'card_error') {
    return error.decline_code === 'insufficient_funds' ? 'insufficient_funds' : 'card_declined';
  }
  switch (error.code) {
    case 'token_already_used':
      return 'token_unknown';
    case 'amount_too_small':
    case 'amount_too_large':
    case 'parameter_invalid_integer':
      return 'amount_invalid';
    case 'charge_expired_for_capture':
      return 'authorisation_expired';
    case 'charge_already_refunded':
      return 'amount_invalid';
    case 'payment_intent_unexpected_state':
      return 'authorisation_unknown';
    default:
      return undefined;
  }
}

function expiryOf(intent: PaymentIntent): string {
  const charge = intent.latest_charge;
  const before = typeof charge === 'object' ? charge?.payment_method_details?.card?.capture_before : undefined;
  return new Date((before ?? intent.created + DEFAULT_HOLD_SECONDS) * 1_000).toISOString();
}
