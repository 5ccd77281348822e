import type { Exchange, Exchanged } from '@mercato/kit/exchange.ts';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { Address } from '../domain/address.ts';
import type { Reference } from '../domain/reference.ts';
import type {
  BookOutcome,
  BookRequest,
  CancelOutcome,
  Carrier,
  CarrierBookingId,
  CarrierState,
} from '../ports/carrier.ts';

/** How to reach EasyPost. */
export interface EasyPostOptions {
  readonly exchange: Exchange;
  /** `EZAK...` or `EZTK...`; the user name of HTTP Basic, never logged. */
  readonly apiKey: string;
  /** The address of each warehouse, by its id. */
  readonly origins: ReadonlyMap<string, Address>;
  /** Weight of one unit in ounces, for rates. @default 16 */
  readonly ouncesPerUnit?: number;
}

/** Warehouse addresses from a JSON object of id to address. Throws an Error that names the entry that is wrong. */
export function parseOrigins(text: string): ReadonlyMap<string, Address> {
  const parsed = JSON.parse(text) as unknown;
  if (parsed === null || typeof parsed !== 'object') throw new Error('origins: an object of warehouse id to address');
  return new Map(
    Object.entries(parsed).map(([id, address]) => {
      if (Value.Check(Address, address)) return [id, address];
      const first = Value.Errors(Address, address).First();
      throw new Error(`origins: ${id}${first?.path ?? ''}: ${first?.message ?? 'no address'}`);
    }),
  );
}

/** The fields that we read of a Shipment; EasyPost sends many more. */
const Shipment = Type.Object({
  id: Type.String({ minLength: 1 }),
  object: Type.Literal('Shipment'),
  status: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  refund_status: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  tracking_code: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  selected_rate: Type.Optional(Type.Union([Type.Object({ carrier: Type.String() }), Type.Null()])),
  rates: Type.Optional(Type.Array(Type.Object({ id: Type.String(), carrier: Type.String(), rate: Type.String() }))),
});
type Shipment = Static<typeof Shipment>;

const Failed = Type.Object({ error: Type.Object({ code: Type.String() }) });

/**
 * A Carrier on EasyPost's API: a Shipment with our reference is made (which costs nothing), then its cheapest rate is bought (which
 * is the booking), and a refund of the label is the cancellation. EasyPost has no idempotency keys; the reference takes their
 * place: a shipment is looked for by it before another is made, and a shipment can be bought once only.
 *
 * One label is bought, from the first of the order's warehouses. An order that is sourced from several needs one booking for each,
 * which this adapter refuses as `no_service` rather than ship a part of it.
 */
export function easypost(options: EasyPostOptions): Carrier {
  const api = easyPostApi(options);
  return {
    async book(request) {
      const origin = options.origins.get(request.warehouses[0] ?? '');
      if (request.warehouses.length !== 1 || origin === undefined) {
        return {
          outcome: 'refused',
          reason: 'no_service',
          detail: `no label from ${request.warehouses.join(' and ')}`,
        };
      }
      const known = await find(api, request.reference);
      if (known.outcome === 'unknown') return known;
      const shipment =
        known.outcome === 'found' ? known : await create(api, request, origin, options.ouncesPerUnit ?? 16);
      if (shipment.outcome !== 'found') return shipment;
      return isBought(shipment.value) ? booked(shipment.value) : buy(api, shipment.value);
    },

    async cancel({ booking }) {
      const answer = await api.post(`/v2/shipments/${encodeURIComponent(booking)}/refund`, {});
      const read = readShipment(answer);
      if (read.outcome !== 'refused') return read.outcome === 'found' ? cancelled(read.value) : read;
      // "Cannot be refunded" says neither which nor why; the shipment does.
      const seen = readShipment(await api.get(`/v2/shipments/${encodeURIComponent(booking)}`));
      if (seen.outcome === 'found') return cancelled(seen.value);
      if (seen.outcome === 'unknown') return seen;
      return { outcome: 'refused', reason: 'booking_unknown', detail: `EasyPost says ${seen.code}` };
    },

    async track(booking) {
      const read = readShipment(await api.get(`/v2/shipments/${encodeURIComponent(booking)}`));
      if (read.outcome === 'found') return { outcome: 'tracked', state: stateOf(read.value) };
      return { outcome: 'unknown', detail: read.outcome === 'unknown' ? read.detail : `EasyPost says ${read.code}` };
    },

    async lookup(reference) {
      const known = await find(api, reference);
      if (known.outcome !== 'found') return known;
      // Made but not bought: nobody will come for it, so it is as if it were not there.
      return isBought(known.value) ? booked(known.value) : { outcome: 'absent' };
    },
  };
}

type Read =
  | { readonly outcome: 'found'; readonly value: Shipment }
  | { readonly outcome: 'refused'; readonly code: string; readonly status: number }
  | { readonly outcome: 'unknown'; readonly detail: string };

interface EasyPostApi {
  get(path: string): Promise<Exchanged>;
  post(path: string, body: object): Promise<Exchanged>;
}

function easyPostApi({ exchange, apiKey }: EasyPostOptions): EasyPostApi {
  const headers = { authorization: `Basic ${Buffer.from(`${apiKey}:`).toString('base64')}` };
  return {
    get: (path) => exchange({ method: 'GET', path, headers }),
    post: (path, body) => exchange({ method: 'POST', path, headers, body }),
  };
}

function readShipment(exchanged: Exchanged): Read {
  if (exchanged.kind === 'unknown') return { outcome: 'unknown', detail: exchanged.detail };
  const { status, body } = exchanged;
  if ((status === 200 || status === 201) && Value.Check(Shipment, body)) return { outcome: 'found', value: body };
  const isRefusal = status === 400 || status === 404 || status === 422;
  if (isRefusal && Value.Check(Failed, body)) return { outcome: 'refused', code: body.error.code, status };
  return { outcome: 'unknown', detail: `EasyPost answered ${status}` };
}

/** The shipment that was made under this reference: EasyPost takes a reference in place of an id. */
async function find(
  api: EasyPostApi,
  reference: Reference,
): Promise<Exclude<Read, { outcome: 'refused' }> | { readonly outcome: 'absent' }> {
  const read = readShipment(await api.get(`/v2/shipments/${encodeURIComponent(reference)}`));
  if (read.outcome !== 'refused') return read;
  return read.status === 404 ? { outcome: 'absent' } : { outcome: 'unknown', detail: `EasyPost says ${read.code}` };
}

async function create(
  api: EasyPostApi,
  { reference, shipTo, lines }: BookRequest,
  origin: Address,
  ouncesPerUnit: number,
): Promise<Extract<Read, { outcome: 'found' }> | Exclude<BookOutcome, { outcome: 'booked' | 'pending' }>> {
  const units = lines.reduce((sum, line) => sum + line.quantity, 0);
  const shipment = {
    reference,
    to_address: addressOf(shipTo),
    from_address: addressOf(origin),
    parcel: { weight: units * ouncesPerUnit },
  };
  const read = readShipment(await api.post('/v2/shipments', { shipment }));
  return read.outcome === 'refused' ? refusal(read.code) : read;
}

async function buy(api: EasyPostApi, shipment: Shipment): Promise<BookOutcome> {
  const cheapest = [...(shipment.rates ?? [])].sort((a, b) => Number(a.rate) - Number(b.rate))[0];
  if (cheapest === undefined)
    return { outcome: 'refused', reason: 'no_service', detail: 'EasyPost has no rate for this' };
  const path = `/v2/shipments/${encodeURIComponent(shipment.id)}/buy`;
  const read = readShipment(await api.post(path, { rate: { id: cheapest.id } }));
  if (read.outcome === 'found') return booked(read.value);
  if (read.outcome === 'unknown') return read;
  // Bought by a call whose answer was lost: the next look-up finds it.
  if (read.code === 'SHIPMENT.POSTAGE.EXISTS') return { outcome: 'unknown', detail: 'the label exists already' };
  return refusal(read.code);
}

/** What EasyPost's refusal means; one that says nothing about address or service is unknown, and held in the end. */
function refusal(code: string): Exclude<BookOutcome, { outcome: 'booked' | 'pending' }> {
  const detail = `EasyPost says ${code}`;
  if (code.startsWith('ADDRESS.')) return { outcome: 'refused', reason: 'address_undeliverable', detail };
  if (code === 'SHIPMENT.RATES.UNAVAILABLE' || code === 'SHIPMENT.RATE.UNAVAILABLE') {
    return { outcome: 'refused', reason: 'no_service', detail };
  }
  return { outcome: 'unknown', detail };
}

function isBought(shipment: Shipment): boolean {
  return shipment.selected_rate !== null && shipment.selected_rate !== undefined;
}

function booked(shipment: Shipment): BookOutcome {
  const { id, selected_rate, tracking_code } = shipment;
  return {
    outcome: 'booked',
    id: id as CarrierBookingId,
    carrier: selected_rate?.carrier ?? 'EasyPost',
    state: stateOf(shipment),
    ...(tracking_code ? { trackingCode: tracking_code } : {}),
  };
}

function cancelled(shipment: Shipment): CancelOutcome {
  const state = stateOf(shipment);
  if (state === 'cancelled') return { outcome: 'cancelled' };
  if (state !== 'booked')
    return { outcome: 'refused', reason: 'already_picked_up', detail: `it is ${shipment.status}` };
  return { outcome: 'unknown', detail: `the refund is ${shipment.refund_status ?? 'not known'}` };
}

/** EasyPost's state in our words. A label whose refund was asked for is cancelled: nobody may hand the parcel over. */
function stateOf({ status, refund_status }: Shipment): CarrierState {
  if (refund_status === 'submitted' || refund_status === 'refunded' || status === 'cancelled') return 'cancelled';
  switch (status) {
    case 'delivered':
      return 'delivered';
    case 'in_transit':
    case 'out_for_delivery':
    case 'available_for_pickup':
    case 'return_to_sender':
    case 'failure':
      return 'picked-up';
    default:
      return 'booked';
  }
}

function addressOf(address: Address) {
  return {
    name: address.name,
    street1: address.line1,
    street2: address.line2,
    city: address.city,
    state: address.region,
    zip: address.postcode,
    country: address.country,
  };
}
