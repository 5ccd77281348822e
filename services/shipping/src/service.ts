import {
  type BackgroundTask,
  type Clock,
  type Command,
  type Migrations,
  milliseconds,
  Outbox,
  outboxMigrations,
  Participant,
  type ParticipantOptions,
  type Route,
  recordMigrations,
  type Store,
  systemClock,
} from '@mercato/kit';
import { adminRoutes } from './admin.ts';
import { bookShipment } from './commands/book.ts';
import { cancelShipment } from './commands/cancel.ts';
import type { Means } from './commands/means.ts';
import type { Carrier } from './ports/carrier.ts';
import { shippingMigrations } from './store.ts';
import { type TrackOptions, type TrackReport, track } from './track.ts';

/** Everything that a shipping service's store must be opened with. */
export const migrations: readonly Migrations[] = [recordMigrations, outboxMigrations, shippingMigrations];

/** What the shipping service is made of. Tests and the simulation bring their own store, carrier and clock. */
export interface ShippingOptions
  extends Pick<ParticipantOptions, 'retention' | 'crashPoint' | 'rules' | 'tracing' | 'onAnswer' | 'onError'> {
  /** Opened with `migrations`. */
  readonly store: Store;
  readonly carrier: Carrier;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** Whether anybody subscribes to its events; otherwise none are written. @default true */
  readonly heard?: boolean;
  readonly track?: TrackOptions;
  /** How often the tracker looks for due bookings, in milliseconds. @default 1000 */
  readonly trackEveryMs?: number;
  /** Told each pass of the tracker that found something. */
  readonly onTracked?: (report: TrackReport) => void;
}

/** A shipping service without its server. */
export interface ShippingService {
  readonly participant: Participant;
  readonly commands: readonly Command[];
  /** Administration: `/bookings`, `/orders/...`, `/conservation`. */
  readonly routes: readonly Route[];
  /** The tracker, for startService. */
  readonly tasks: readonly BackgroundTask[];
  /** One pass of the tracker. */
  track(): Promise<TrackReport>;
}

/** Assembles the shipping service from its ports. Starts nothing. */
export function shippingService(options: ShippingOptions): ShippingService {
  const { store, carrier, track: trackOptions, trackEveryMs, onTracked, ...rest } = options;
  const clock = options.clock ?? systemClock;
  const means: Means = { carrier, outbox: new Outbox('/mercato/shipping', options.heard) };
  const commands = [bookShipment(means), cancelShipment(means)];
  const pass = async () => {
    const report = await track(store, means, clock, trackOptions);
    if (report.looked > 0) onTracked?.(report);
    return report;
  };
  return {
    participant: new Participant({ ...rest, store, clock, commands }),
    commands,
    routes: adminRoutes(store),
    tasks: [{ name: 'track bookings', interval: milliseconds(trackEveryMs ?? 1_000), run: pass }],
    track: pass,
  };
}
