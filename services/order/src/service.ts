import {
  type BackgroundTask,
  before,
  type Clock,
  days,
  eventsRoute,
  type Milliseconds,
  minutes,
  type RawRoute,
  type Receipt,
  type ReceivedEvent,
  type Route,
  type ServiceMetrics,
  systemClock,
  type TokenCheck,
  type Tracing,
  untraced,
} from '@mercato/kit';
import { sweepAll } from '@mercato/kit/sweep.ts';
import { Admission, type AdmissionOptions } from './admission/admission.ts';
import { placeRoute } from './api/place.ts';
import { unavailable } from './api/problems.ts';
import { orderRoutes } from './api/routes.ts';
import { Streams, type StreamsOptions } from './api/streams.ts';
import type { Shop } from './domain/events.ts';
import type { Order } from './domain/order.ts';
import { SagaEvents } from './events/saga-events.ts';
import { OrderMetrics } from './metrics.ts';
import type { Orders } from './ports/orders.ts';

/** What the order service is made of. */
export interface OrderOptions {
  readonly orders: Orders;
  readonly shop: Shop;
  readonly tokens: TokenCheck;
  readonly metrics: ServiceMetrics;
  /** @default nothing is traced */
  readonly tracing?: Tracing;
  /** @default the machine's clock */
  readonly clock?: Clock;
  readonly admission?: AdmissionOptions;
  readonly streams?: Pick<StreamsOptions, 'maxStreams' | 'maxPerCustomer' | 'heartbeat' | 'lookUp' | 'lifetime'>;
  /** Currencies that orders are taken in. @default any */
  readonly currencies?: readonly string[];
  /** Subjects of tokens that may say what sagas do. @default nobody */
  readonly eventSenders?: readonly string[];
  /** How long Idempotency-Keys are remembered. @default 35 days */
  readonly keyRetention?: Milliseconds;
  /** How long orders that are over are kept. @default 10 years */
  readonly orderRetention?: Milliseconds;
  /** Told each event of an order of ours that could change nothing, and why. */
  readonly onIgnored?: (event: ReceivedEvent, why: string) => void;
  readonly onError: (error: unknown) => void;
}

/** The order service without its server: parts for startService. */
export interface OrderService {
  readonly rawRoutes: readonly RawRoute[];
  readonly routes: readonly Route[];
  readonly tasks: readonly BackgroundTask[];
  /** Takes what sagas say. */
  readonly inbox: Pick<SagaEvents, 'receive'>;
  /** Ends the streams. */
  onStop(): void;
  onStopped(): Promise<void>;
  /** Forgets what is older than its retention, until `signal` aborts; returns how much. */
  sweep(signal?: AbortSignal): Promise<number>;
}

/** Assembles the order service from its ports. */
export function orderService(options: OrderOptions): OrderService {
  const { orders, shop, tokens, metrics, onError, currencies } = options;
  const clock = options.clock ?? systemClock;
  const tracing = options.tracing ?? untraced;
  const admission = new Admission(options.admission);
  const streams = new Streams({ ...options.streams, orders, tokens, clock, onError });
  const counts = new OrderMetrics(metrics, orders, admission, streams);
  const events = new SagaEvents({
    orders,
    shop,
    tracing,
    clock,
    onReceived: (receipt: Receipt) => metrics.onReceived(receipt),
    onChanged(id, from, to) {
      if (from !== to) counts.moved(to);
      streams.changed(id);
    },
    ...(options.onIgnored === undefined ? {} : { onIgnored: options.onIgnored }),
  });
  const place = placeRoute({
    orders,
    shop,
    tokens,
    tracing,
    admission,
    clock,
    ...(currencies === undefined ? {} : { currencies: new Set(currencies) }),
    onOverload: () => metrics.overloaded.inc(),
    onPlaced: () => counts.moved('Placed'),
  });
  const onCancel = ({ id, progress }: Order) => {
    if (progress.state === 'Cancelling') counts.moved('Cancelling');
    streams.changed(id);
  };
  const { keyRetention = days(35), orderRetention = days(3650) } = options;
  const sweep = (signal?: AbortSignal) => sweepOrders(orders, clock, { keyRetention, orderRetention }, signal);
  const receive = (body: unknown) => events.receive(body).catch(unavailable);
  return {
    inbox: events,
    rawRoutes: [place, streams.route()],
    routes: [
      ...orderRoutes({ orders, tracing, clock, onCancel }),
      eventsRoute({ receive }, options.eventSenders ?? []),
    ],
    tasks: [{ name: 'sweep orders and keys', interval: minutes(1), run: sweep }],
    onStop: () => streams.close(),
    onStopped: () => orders.close(),
    sweep,
  };
}

async function sweepOrders(
  orders: Pick<Orders, 'sweep'>,
  clock: Clock,
  { keyRetention, orderRetention }: Required<Pick<OrderOptions, 'keyRetention' | 'orderRetention'>>,
  signal: AbortSignal | undefined,
): Promise<number> {
  const now = clock.now();
  const forgetting = { keysBefore: before(now, keyRetention), ordersBefore: before(now, orderRetention) };
  let total = 0;
  await sweepAll(async () => {
    const { forgotten, more } = await orders.sweep(forgetting);
    total += forgotten;
    return more;
  }, signal);
  return total;
}
