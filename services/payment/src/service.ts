import {
  type BackgroundTask,
  type Clock,
  type Command,
  type Migrations,
  milliseconds,
  Outbox,
  outboxMigrations,
  type Participant,
  type ParticipantOptions,
  type Route,
  recordMigrations,
  type Store,
  systemClock,
} from '@mercato/kit';
import { adminRoutes } from './admin.ts';
import { authorisePayment } from './commands/authorise.ts';
import { capturePayment } from './commands/capture.ts';
import type { Means } from './commands/outcome.ts';
import { refundPayment } from './commands/refund.ts';
import { voidPayment } from './commands/void.ts';
import { CardFreeParticipant } from './guard.ts';
import type { PaymentProcessor } from './ports/processor.ts';
import { type ReconcileOptions, type ReconcileReport, reconcile } from './reconcile.ts';
import { paymentMigrations } from './store.ts';

/** Everything that a payment service's store must be opened with. */
export const migrations: readonly Migrations[] = [recordMigrations, outboxMigrations, paymentMigrations];

/** What the payment service is made of. Tests and the simulation bring their own store, processor and clock. */
export interface PaymentOptions
  extends Pick<ParticipantOptions, 'retention' | 'crashPoint' | 'rules' | 'tracing' | 'onAnswer' | 'onError'> {
  /** Opened with `migrations`. */
  readonly store: Store;
  readonly processor: PaymentProcessor;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** Whether anybody subscribes to its events; otherwise none are written. @default true */
  readonly heard?: boolean;
  readonly reconcile?: ReconcileOptions;
  /** How often the reconciler looks for due payments, in milliseconds. @default 1000 */
  readonly reconcileEveryMs?: number;
  /** Told each pass of the reconciler that found something. */
  readonly onReconciled?: (report: ReconcileReport) => void;
}

/** A payment service without its server. */
export interface PaymentService {
  readonly participant: Participant;
  readonly commands: readonly Command[];
  /** Administration: `/authorisations`, `/orders/...`, `/conservation`. */
  readonly routes: readonly Route[];
  /** The reconciler, for startService. */
  readonly tasks: readonly BackgroundTask[];
  /** One pass of the reconciler. */
  reconcile(): Promise<ReconcileReport>;
}

/** Assembles the payment service from its ports. Starts nothing. */
export function paymentService(options: PaymentOptions): PaymentService {
  const { store, processor, reconcile: reconcileOptions, reconcileEveryMs, onReconciled, ...rest } = options;
  const clock = options.clock ?? systemClock;
  const means: Means = { processor, outbox: new Outbox('/mercato/payment', options.heard) };
  const commands = [authorisePayment(means), voidPayment(means), capturePayment(means), refundPayment(means)];
  const pass = async () => {
    const report = await reconcile(store, means, clock, reconcileOptions);
    if (report.looked > 0) onReconciled?.(report);
    return report;
  };
  return {
    participant: new CardFreeParticipant({ ...rest, store, clock, commands }),
    commands,
    routes: adminRoutes(store),
    tasks: [{ name: 'reconcile payments', interval: milliseconds(reconcileEveryMs ?? 1_000), run: pass }],
    reconcile: pass,
  };
}
