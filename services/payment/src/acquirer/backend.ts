import type { Clock } from '@mercato/kit/clock.ts';
import type { Received, SimulatedBackend, SimulatedRequest, Worked } from '@mercato/kit/simulator/backend.ts';
import {
  DEFAULT_FAULT_TIMES,
  type Fault,
  type FaultRates,
  type FaultTimes,
  NO_FAULTS,
  planOf,
  rollFault,
  unitHash,
} from '@mercato/kit/simulator/faults.ts';
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler';
import type { OperationKind } from '../ports/processor.ts';
import { type AcquirerEntry, type Instruction, Ledger, LedgerConflict } from './ledger.ts';
import { scriptedFault } from './script.ts';

/** How the simulated acquirer behaves beyond what tokens ask for. */
export interface AcquirerOptions {
  readonly clock: Clock;
  /** Random faults, of operations and of look-ups. @default none */
  readonly faults?: FaultRates;
  /** Share of plain authorisations that are declined, from 0 to 1; `faults.seed` decides which. @default 0 */
  readonly declineRate?: number;
  /** @default DEFAULT_FAULT_TIMES */
  readonly times?: FaultTimes;
  /** What an earlier process left in the log, oldest first. @default none */
  readonly history?: Iterable<AcquirerEntry>;
}

const Text = Type.String({ minLength: 1, maxLength: 300 });
const Amount = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Code = Type.String({ pattern: '^[A-Z]{3}$' });
const Named = { reference: Text, orderKey: Text };
const Money = { amount: Amount, currency: Code };
const Authorise = TypeCompiler.Compile(Type.Object({ ...Named, ...Money, token: Text }));
const Move = TypeCompiler.Compile(Type.Object({ ...Named, ...Money, target: Text }));
const Void = TypeCompiler.Compile(Type.Object({ ...Named, target: Text }));
const Outage = TypeCompiler.Compile(Type.Object({ seconds: Type.Number({ minimum: 0, maximum: 86_400 }) }));
const TokenAs = TypeCompiler.Compile(Type.Object({ token: Text, as: Text }));

/**
 * A simulated acquirer: not a real one, and not a model of any one company's. It keeps correct books (see Ledger), and it fails
 * its callers as acquirers do: by token (see Script), at random by seed, or altogether for a time (`POST /admin/outage
 * {"seconds":30}`). `POST /admin/tokens {"token":"tok_declined","as":"tok_visa"}` makes a token behave like another from now on.
 */
export class SimulatedAcquirer implements SimulatedBackend<AcquirerEntry> {
  readonly #ledger = new Ledger();
  readonly #options: AcquirerOptions;
  readonly #attempts = new Map<string, number>();
  readonly #tokens = new Map<string, string>();
  #outageUntil = 0;

  constructor(options: AcquirerOptions) {
    this.#options = options;
    for (const entry of options.history ?? []) this.#ledger.apply(entry);
  }

  receive(request: SimulatedRequest): Received<AcquirerEntry> {
    const route = `${request.method} ${request.path}`;
    if (route === 'POST /admin/outage') return prompt(() => this.#setOutage(request.body));
    if (route === 'POST /admin/tokens') return prompt(() => this.#setToken(request.body));
    if (this.#options.clock.now() < this.#outageUntil) return prompt(() => answer(503, { error: 'out of service' }));
    const lookup = /^GET \/v1\/operations\/([^/]+)$/.exec(route)?.[1];
    if (lookup !== undefined) return this.#receiveLookup(decodeURIComponent(lookup));
    const parsed = parse(route, request.body);
    if (parsed === undefined) return prompt(() => answer(404, { error: `there is no ${route}` }));
    if ('error' in parsed) return prompt(() => answer(400, parsed));
    const { instruction } = parsed;
    const token = instruction.operation === 'authorise' ? this.#tokens.get(instruction.token) : undefined;
    return this.#receiveInstruction(token === undefined ? instruction : ({ ...instruction, token } as Instruction));
  }

  #receiveInstruction(instruction: Instruction): Received<AcquirerEntry> {
    const { operation, reference } = instruction;
    const attempt = this.#count(reference);
    const script = this.#ledger.scriptFor(instruction);
    const isDone = this.#ledger.find(reference, this.#now()) !== undefined;
    const fault =
      script === undefined ? this.#roll(reference, attempt) : scriptedFault(script, operation, attempt, isDone);
    return { plan: this.#plan(fault), work: () => this.#carryOut(instruction) };
  }

  #receiveLookup(reference: string): Received<AcquirerEntry> {
    const name = `lookup ${reference}`;
    return { plan: this.#plan(this.#roll(name, this.#count(name))), work: () => this.#lookup(reference) };
  }

  #carryOut(instruction: Instruction): Worked<AcquirerEntry> {
    try {
      const entry = this.#ledger.decide(instruction, this.#now(), this.#isUnlucky(instruction.reference));
      this.#ledger.apply(entry);
      const found = this.#ledger.find(instruction.reference, this.#now());
      const body = view(found?.entry ?? entry);
      return { status: body.status === 'declined' ? 402 : 200, body, entries: [entry] };
    } catch (error) {
      if (error instanceof LedgerConflict) return answer(409, { error: error.message });
      throw error;
    }
  }

  #lookup(reference: string): Worked<AcquirerEntry> {
    const found = this.#ledger.find(reference, this.#now());
    if (found === undefined) return answer(404, { status: 'absent' });
    return answer(200, { ...view(found.entry), open: found.open });
  }

  #setOutage(body: unknown): Worked<AcquirerEntry> {
    if (!Outage.Check(body)) return answer(400, { error: 'seconds: a number from 0 to 86400' });
    this.#outageUntil = this.#now() + body.seconds * 1_000;
    return answer(200, { until: new Date(this.#outageUntil).toISOString() });
  }

  #setToken(body: unknown): Worked<AcquirerEntry> {
    if (!TokenAs.Check(body)) return answer(400, { error: 'token and as: two tokens' });
    this.#tokens.set(body.token, body.as);
    return answer(200, {});
  }

  #roll(name: string, attempt: number): Fault | undefined {
    return rollFault(this.#options.faults ?? NO_FAULTS, name, attempt);
  }

  #isUnlucky(reference: string): boolean {
    const rate = this.#options.declineRate ?? 0;
    return rate > 0 && unitHash(`${this.#options.faults?.seed ?? ''}\ndecline\n${reference}`) < rate;
  }

  #plan(fault: Fault | undefined) {
    return planOf(fault, this.#options.times ?? DEFAULT_FAULT_TIMES);
  }

  #count(name: string): number {
    const attempt = (this.#attempts.get(name) ?? 0) + 1;
    this.#attempts.set(name, attempt);
    return attempt;
  }

  #now(): number {
    return this.#options.clock.now();
  }
}

type Parsed = { readonly instruction: Instruction } | { readonly error: string } | undefined;

function parse(route: string, body: unknown): Parsed {
  switch (route) {
    case 'POST /v1/authorisations':
      return checked(Authorise, body, (value) => ({ operation: 'authorise', ...value }));
    case 'POST /v1/captures':
      return checked(Move, body, (value) => ({ operation: 'capture', ...value }));
    case 'POST /v1/refunds':
      return checked(Move, body, (value) => ({ operation: 'refund', ...value }));
    case 'POST /v1/voids':
      return checked(Void, body, (value) => ({ operation: 'void', ...value }));
    default:
      return undefined;
  }
}

function checked<S extends TSchema>(
  schema: TypeCheck<S>,
  body: unknown,
  make: (value: Static<S>) => Instruction,
): Parsed {
  if (schema.Check(body)) return { instruction: make(body) };
  const first = schema.Errors(body).First();
  return { error: `${first?.path ?? ''}: ${first?.message ?? 'not valid'}` };
}

function view(entry: AcquirerEntry) {
  if (entry.outcome === 'declined') return { status: 'declined' as const, reason: entry.reason };
  return { status: 'approved' as const, id: entry.id, expiresAt: entry.expiresAt };
}

function answer(status: number, body: unknown): Worked<AcquirerEntry> {
  return { status, body, entries: [] };
}

function prompt(work: () => Worked<AcquirerEntry>): Received<AcquirerEntry> {
  return { plan: planOf(undefined, DEFAULT_FAULT_TIMES), work };
}

/** The path that an operation is posted to. */
export const PATHS: Readonly<Record<OperationKind, string>> = {
  authorise: '/v1/authorisations',
  capture: '/v1/captures',
  void: '/v1/voids',
  refund: '/v1/refunds',
};
