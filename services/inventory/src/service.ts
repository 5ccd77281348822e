import {
  type BackgroundTask,
  type Clock,
  type Command,
  eventsRoute,
  Inbox,
  type InboxOptions,
  inboxMigrations,
  type Migrations,
  type Milliseconds,
  minutes,
  Outbox,
  outboxMigrations,
  Participant,
  type ParticipantOptions,
  type Route,
  recordMigrations,
  type Store,
  seconds,
  systemClock,
} from '@mercato/kit';
import { adjustmentRoutes } from './admin/adjustments.ts';
import { conservationRoutes } from './admin/conservation.ts';
import { movementRoutes } from './admin/movements.ts';
import { reservationRoutes } from './admin/reservations.ts';
import { warehouseRoutes } from './admin/warehouses.ts';
import { commitStock } from './commands/commit.ts';
import { releaseStock } from './commands/release.ts';
import { reserveStock } from './commands/reserve.ts';
import type { Strategy } from './domain/sourcing.ts';
import { shipOnPickUp } from './events/pick-up.ts';
import { expireReservations } from './expiry.ts';
import { type Conservation, checkConservation } from './rows/conservation.ts';
import { inventoryMigrations } from './rows/schema.ts';

/** Everything that an inventory's store must be opened with. */
export const migrations: readonly Migrations[] = [
  recordMigrations,
  outboxMigrations,
  inboxMigrations,
  inventoryMigrations,
];

/** How long events that came are remembered, and who hears of them. */
export type EventOptions = Pick<InboxOptions, 'retention' | 'onIgnored' | 'onReceived'>;

/** What the inventory service is made of. Tests and the simulation bring their own store and clock. */
export interface InventoryOptions
  extends Pick<ParticipantOptions, 'retention' | 'crashPoint' | 'rules' | 'tracing' | 'onAnswer' | 'onError'> {
  /** Opened with `migrations`. */
  readonly store: Store;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** Whether anybody subscribes to its events; otherwise none are written. @default true */
  readonly heard?: boolean;
  /** Where goods come from. @default priority */
  readonly strategy?: Strategy;
  /** How long a reservation lasts unless it is committed. @default 15 min */
  readonly hold?: Milliseconds;
  /** How often expired reservations are looked for. @default 1 s */
  readonly expireEvery?: Milliseconds;
  /** Subjects of tokens that may send events. @default nobody */
  readonly eventSenders?: readonly string[];
  readonly events?: EventOptions;
}

/** An inventory service without its server. */
export interface InventoryService {
  readonly participant: Participant;
  readonly commands: readonly Command[];
  /** Administration, and `POST /events`. */
  readonly routes: readonly Route[];
  /** The expiry of reservations and the sweeping of events, for startService. */
  readonly tasks: readonly BackgroundTask[];
  /** Takes the events of pick-ups. */
  readonly inbox: Pick<Inbox, 'receive'>;
  /** Frees the goods of reservations whose time has run out; returns how many. */
  expire(): Promise<number>;
  /** Compares counters with movements and reservations. Changes nothing. */
  check(): Promise<Conservation>;
}

/** Assembles the inventory service from its ports. Starts nothing. */
export function inventoryService(options: InventoryOptions): InventoryService {
  const {
    strategy = 'priority',
    hold = minutes(15),
    expireEvery = seconds(1),
    store,
    eventSenders,
    events,
    ...rest
  } = options;
  const clock = options.clock ?? systemClock;
  const outbox = new Outbox('/mercato/inventory', options.heard);
  const commands = [reserveStock({ outbox, strategy, hold }), commitStock(outbox), releaseStock(outbox)];
  const ports = { store, outbox, clock };
  const inbox = new Inbox({ ...events, store, clock, subscriptions: [shipOnPickUp(ports)] });
  const expire = () => expireReservations(store, outbox, clock);
  return {
    participant: new Participant({ ...rest, store, clock, commands }),
    commands,
    routes: [
      ...warehouseRoutes(ports),
      ...adjustmentRoutes(ports),
      ...reservationRoutes(ports),
      ...movementRoutes(ports),
      ...conservationRoutes(ports),
      eventsRoute(inbox, eventSenders ?? []),
    ],
    tasks: [{ name: 'expire reservations', interval: expireEvery, run: expire }, inbox.task],
    inbox,
    expire,
    check: () => checkConservation(store),
  };
}
