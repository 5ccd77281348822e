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
} from '@mercato/kit/simulator/faults.ts';
import { scriptedFault } from '@mercato/kit/simulator/script.ts';
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler';
import { Address, Line } from '../domain/address.ts';
import {
  CarrierConflict,
  type CarrierEntry,
  CarrierLedger,
  type CarrierTimes,
  type Consignment,
  DEFAULT_CARRIER_TIMES,
  type Order,
} from './ledger.ts';
import { type CarrierScript, ruleOf, scriptOf } from './script.ts';

/** How the simulated carrier behaves beyond what addresses ask for. */
export interface CarrierOptions {
  readonly clock: Clock;
  /** Its name in bookings. @default simulated-carrier */
  readonly name?: string;
  /** Countries that it does not serve. @default AQ */
  readonly unserved?: readonly string[];
  /** Random faults, of bookings, cancellations and look-ups. @default none */
  readonly faults?: FaultRates;
  /** @default DEFAULT_FAULT_TIMES */
  readonly faultTimes?: FaultTimes;
  /** @default DEFAULT_CARRIER_TIMES */
  readonly times?: CarrierTimes;
  /** What an earlier process left in the log, oldest first. @default none */
  readonly history?: Iterable<CarrierEntry>;
}

const Text = Type.String({ minLength: 1, maxLength: 300 });
const Booking = Type.Object({
  reference: Text,
  orderKey: Text,
  shipTo: Address,
  lines: Type.Array(Line, { minItems: 1 }),
  warehouses: Type.Array(Text, { minItems: 1 }),
});
type Booking = Static<typeof Booking>;
const Book = TypeCompiler.Compile(Booking);
const Cancel = TypeCompiler.Compile(Type.Object({ reference: Text, orderKey: Text }));
const Outage = TypeCompiler.Compile(Type.Object({ seconds: Type.Number({ minimum: 0, maximum: 86_400 }) }));
const Unserved = TypeCompiler.Compile(Type.Object({ countries: Type.Array(Type.String({ pattern: '^[A-Z]{2}$' })) }));

/**
 * A simulated carrier: not a real one, and not a model of any one company's. It keeps correct books (see CarrierLedger), and it
 * fails its callers as carriers do: by address (see CarrierScript), at random by seed, or altogether for a time
 * (`POST /admin/outage {"seconds":30}`). `POST /admin/unserved {"countries":["AQ"]}` says where it does not go from now on.
 */
export class SimulatedCarrier implements SimulatedBackend<CarrierEntry> {
  readonly #ledger: CarrierLedger;
  readonly #options: CarrierOptions;
  readonly #times: CarrierTimes;
  readonly #attempts = new Map<string, number>();
  #outageUntil = 0;
  #unserved: readonly string[];

  constructor(options: CarrierOptions) {
    this.#options = options;
    this.#times = options.times ?? DEFAULT_CARRIER_TIMES;
    this.#unserved = options.unserved ?? ['AQ'];
    this.#ledger = new CarrierLedger(this.#times);
    for (const entry of options.history ?? []) this.#ledger.apply(entry);
  }

  receive(request: SimulatedRequest): Received<CarrierEntry> {
    const route = `${request.method} ${request.path}`;
    if (route === 'POST /admin/outage') return this.#prompt(() => this.#setOutage(request.body));
    if (route === 'POST /admin/unserved') return this.#prompt(() => this.#setUnserved(request.body));
    if (this.#now() < this.#outageUntil) return this.#prompt(() => answer(503, { error: 'out of service' }));
    const segments = request.path.split('/').slice(1).map(decodeURIComponent);
    if (request.method === 'GET' && segments[0] === 'v1' && segments[1] === 'references' && segments.length === 3) {
      return this.#receiveLookup(segments[2]!);
    }
    if (route === 'POST /v1/bookings') return this.#receiveBooking(request.body);
    if (segments[0] === 'v1' && segments[1] === 'bookings' && segments[2] !== undefined) {
      if (request.method === 'GET' && segments.length === 3) return this.#receiveTrack(segments[2]);
      if (request.method === 'POST' && segments[3] === 'cancel') return this.#receiveCancel(segments[2], request.body);
    }
    return this.#prompt(() => answer(404, { error: `there is no ${route}` }));
  }

  /** Lets time pass: pick-ups and deliveries that are due. A host calls it now and then so that the log tells them in time. */
  tick(): Received<CarrierEntry> {
    return this.#prompt(() => answer(200, {}));
  }

  #receiveBooking(body: unknown): Received<CarrierEntry> {
    if (!Book.Check(body)) return this.#prompt(() => answer(400, { error: firstError(Book, body) }));
    const script = scriptOf(body.shipTo.line1);
    return this.#receiveOrder(orderOf(body, script, this.#unserved), script);
  }

  #receiveCancel(id: string, body: unknown): Received<CarrierEntry> {
    if (!Cancel.Check(body)) return this.#prompt(() => answer(400, { error: firstError(Cancel, body) }));
    const { reference, orderKey } = body;
    return this.#receiveOrder({ operation: 'cancel', reference, orderKey, id }, this.#ledger.consignment(id)?.script);
  }

  #receiveOrder(order: Order, script: CarrierScript | undefined): Received<CarrierEntry> {
    const attempt = this.#count(order.reference);
    const isDone = this.#ledger.find(order.reference) !== undefined;
    const fault =
      script === undefined
        ? this.#roll(order.reference, attempt)
        : scriptedFault(ruleOf(script, order.operation), attempt, isDone);
    return { plan: this.#plan(fault), work: () => this.#inTime(() => this.#carryOut(order)) };
  }

  #receiveLookup(reference: string): Received<CarrierEntry> {
    const name = `lookup ${reference}`;
    return {
      plan: this.#plan(this.#roll(name, this.#count(name))),
      work: () =>
        this.#inTime(() => {
          const entry = this.#ledger.find(reference);
          return entry?.operation === 'book' ? this.#view(entry) : answer(404, { status: 'absent' });
        }),
    };
  }

  #receiveTrack(id: string): Received<CarrierEntry> {
    return this.#prompt(() => {
      const consignment = this.#ledger.consignment(id);
      return consignment === undefined ? answer(404, { status: 'absent' }) : this.#viewConsignment(consignment);
    });
  }

  #carryOut(order: Order): Worked<CarrierEntry> {
    try {
      const entry = this.#ledger.decide(order, this.#now());
      this.#ledger.apply(entry);
      // Picked up at once, if the script says so, and in the log before the answer leaves.
      const entries = [entry, ...this.#ledger.due(this.#now())];
      const first = this.#ledger.find(order.reference) ?? entry;
      const { status, body } = order.operation === 'book' ? this.#view(first) : viewCancel(first);
      return { status, body, entries };
    } catch (error) {
      if (error instanceof CarrierConflict) return answer(409, { error: error.message });
      throw error;
    }
  }

  #view(entry: CarrierEntry): Worked<CarrierEntry> {
    const consignment = this.#ledger.consignment(entry.id);
    if (consignment === undefined) return answer(422, { status: 'refused', reason: entry.reason });
    return this.#viewConsignment(consignment);
  }

  #viewConsignment(consignment: Consignment): Worked<CarrierEntry> {
    const { id, state, reason, since } = consignment;
    if (state === 'rejected') return answer(422, { status: 'refused', reason });
    if (state === 'pending') {
      const retryAfterMs = Math.max(50, since + this.#times.decideMs - this.#now());
      return answer(202, { status: 'pending', id, retryAfterMs });
    }
    const carrier = this.#options.name ?? 'simulated-carrier';
    return answer(200, { status: state, id, carrier, trackingCode: `SIM${id.slice(3, 13).toUpperCase()}` });
  }

  #setOutage(body: unknown): Worked<CarrierEntry> {
    if (!Outage.Check(body)) return answer(400, { error: 'seconds: a number from 0 to 86400' });
    this.#outageUntil = this.#now() + body.seconds * 1_000;
    return answer(200, { until: new Date(this.#outageUntil).toISOString() });
  }

  #setUnserved(body: unknown): Worked<CarrierEntry> {
    if (!Unserved.Check(body)) return answer(400, { error: 'countries: a list of ISO 3166-1 alpha-2 codes' });
    this.#unserved = body.countries;
    return answer(200, {});
  }

  #prompt(work: () => Worked<CarrierEntry>): Received<CarrierEntry> {
    return { plan: planOf(undefined, DEFAULT_FAULT_TIMES), work: () => this.#inTime(work) };
  }

  /** What time has brought is entered before anything is decided on. */
  #inTime(work: () => Worked<CarrierEntry>): Worked<CarrierEntry> {
    const before = this.#ledger.due(this.#now());
    const worked = work();
    return before.length === 0 ? worked : { ...worked, entries: [...before, ...worked.entries] };
  }

  #roll(name: string, attempt: number): Fault | undefined {
    return rollFault(this.#options.faults ?? NO_FAULTS, name, attempt);
  }

  #plan(fault: Fault | undefined) {
    return planOf(fault, this.#options.faultTimes ?? DEFAULT_FAULT_TIMES);
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

function orderOf(body: Booking, script: CarrierScript | undefined, unserved: readonly string[]): Order {
  return {
    operation: 'book',
    reference: body.reference,
    orderKey: body.orderKey,
    script,
    unserved: unserved.includes(body.shipTo.country),
    parcels: body.warehouses.length,
    units: body.lines.reduce((sum, line) => sum + line.quantity, 0),
  };
}

function viewCancel(entry: CarrierEntry): Worked<CarrierEntry> {
  if (entry.outcome === 'cancelled') return answer(200, { status: 'cancelled' });
  return answer(422, { status: 'refused', reason: entry.reason });
}

function firstError(schema: TypeCheck<TSchema>, body: unknown): string {
  const first = schema.Errors(body).First();
  return `${first?.path ?? ''}: ${first?.message ?? 'not valid'}`;
}

function answer(status: number, body: unknown): Worked<CarrierEntry> {
  return { status, body, entries: [] };
}
