import type { Exchange, Exchanged } from '@mercato/kit/exchange.ts';
import { Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { PATHS } from '../acquirer/backend.ts';
import type {
  DeclineReason,
  Lookup,
  OperationKind,
  Outcome,
  PaymentProcessor,
  ProcessorId,
} from '../ports/processor.ts';

const Approved = TypeCompiler.Compile(
  Type.Object({
    status: Type.Literal('approved'),
    id: Type.String({ minLength: 1 }),
    expiresAt: Type.Optional(Type.String()),
    open: Type.Optional(Type.Boolean()),
  }),
);
const Declined = TypeCompiler.Compile(Type.Object({ status: Type.Literal('declined'), reason: Type.String() }));
const Absent = TypeCompiler.Compile(Type.Object({ status: Type.Literal('absent') }));

/** A PaymentProcessor that speaks to the *simulated* acquirer (src/acquirer), over HTTP or in the same process. */
export function simulatedAcquirer(exchange: Exchange): PaymentProcessor {
  const post = async (operation: OperationKind, body: object) =>
    outcomeOf(await exchange({ method: 'POST', path: PATHS[operation], body }));
  return {
    authorise: async (request) => {
      const outcome = await post('authorise', request);
      if (outcome.outcome !== 'approved') return outcome;
      if (outcome.expiresAt === undefined) return { outcome: 'unknown', detail: 'the approval says no expiresAt' };
      return { outcome: 'approved', id: outcome.id, expiresAt: outcome.expiresAt };
    },
    capture: ({ authorisation, ...request }) => post('capture', { ...request, target: authorisation }),
    void: ({ authorisation, ...request }) => post('void', { ...request, target: authorisation }),
    refund: ({ capture, ...request }) => post('refund', { ...request, target: capture }),
    lookup: async ({ reference }) =>
      lookupOf(await exchange({ method: 'GET', path: `/v1/operations/${encodeURIComponent(reference)}` })),
  };
}

type Approval = { readonly id: ProcessorId; readonly expiresAt?: string; readonly open?: boolean };

function outcomeOf(exchanged: Exchanged): Outcome<Approval> {
  if (exchanged.kind === 'unknown') return { outcome: 'unknown', detail: exchanged.detail };
  const { status, body } = exchanged;
  if (status === 200 && Approved.Check(body)) {
    const { id, expiresAt, open } = body;
    return {
      outcome: 'approved',
      id: id as ProcessorId,
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(open === undefined ? {} : { open }),
    };
  }
  if ((status === 402 || status === 200) && Declined.Check(body)) {
    return { outcome: 'declined', reason: body.reason as DeclineReason, detail: `the acquirer says ${body.reason}` };
  }
  return { outcome: 'unknown', detail: `the acquirer answered ${status}` };
}

function lookupOf(exchanged: Exchanged): Lookup {
  if (exchanged.kind === 'answered' && exchanged.status === 404 && Absent.Check(exchanged.body)) {
    return { outcome: 'absent' };
  }
  return outcomeOf(exchanged);
}
