import { type Tracing, TracingConfigError, tracingOf } from '@mercato/tracing';
import { collectDefaultMetrics } from 'prom-client';
import type { TokenCheck } from './auth/tokens.ts';
import { type Cancel, type Clock, every, systemClock } from './clock.ts';
import { ConfigError, type Environment, readConfig, type ServiceConfig } from './config.ts';
import type { EventQueue } from './events/consumer.ts';
import type { RawRoute, Route } from './http/route.ts';
import { type HttpServer, httpServer } from './http/server.ts';
import type { Inbox } from './inbox/inbox.ts';
import { createLogger, type Logger } from './log.ts';
import { ServiceMetrics } from './metrics.ts';
import { Relay, type RelayOptions, toSubscriber } from './outbox/relay.ts';
import type { OutboxSource, Subscriber } from './outbox/source.ts';
import { StoreOutbox } from './outbox/store-outbox.ts';
import type { Participant } from './participant/participant.ts';
import type { CommandQueue } from './queue/consumer.ts';
import type { Store } from './store/port.ts';
import { sweepAll } from './sweep.ts';
import { type Milliseconds, minutes, seconds } from './units.ts';

/** Work that a service does besides answering: sweeping, expiring. */
export interface BackgroundTask {
  readonly name: string;
  readonly interval: Milliseconds;
  /** @param signal aborts when the service stops: what can be left to the next process is to end soon */
  run(signal: AbortSignal): Promise<unknown>;
}

/** What a service is made of. */
export interface ServiceParts {
  readonly name: string;
  readonly version: string;
  /** Closed last. A service whose rows are elsewhere has none. */
  readonly store?: Store;
  /** Who carries out commands; a service that takes none has none. */
  readonly participant?: Participant;
  /** Commands come from here too, beside HTTP. @default nowhere else */
  readonly commandQueue?: CommandQueue | undefined;
  /** Takes other services' events; one that hears of none has none. */
  readonly inbox?: Pick<Inbox, 'receive'>;
  /** Events come to `inbox` from here too, beside HTTP. @default nowhere else */
  readonly eventQueue?: EventQueue | undefined;
  readonly tokens: TokenCheck;
  readonly logger: Logger;
  readonly metrics?: ServiceMetrics;
  readonly clock?: Clock;
  readonly routes?: readonly Route[];
  readonly rawRoutes?: readonly RawRoute[];
  readonly tasks?: readonly BackgroundTask[];
  /** Where events wait to be sent. @default the store's, which must then have been opened with `outboxMigrations` */
  readonly outbox?: OutboxSource;
  /** Who gets the outbox's events; a text is the address of one that gets all. @default nobody */
  readonly subscribers?: readonly (string | Subscriber)[];
  /** How the relay paces itself. */
  readonly relay?: Pick<RelayOptions, 'batch' | 'linger' | 'idle' | 'retention' | 'sequenceRetention'>;
  /** File with the token that they are sent with. @default no token */
  readonly relayTokenFile?: string | undefined;
  readonly maxInFlight?: number;
  /** Connections at once. @default 8192 */
  readonly maxConnections?: number;
  readonly requestTimeout?: Milliseconds;
  /** Called when the stop begins, before the server waits for what is under way: ends what would not end by itself, as streams. */
  readonly onStop?: () => void;
  /** Closed last, so that spans of what was still under way are sent. @default nothing is traced */
  readonly tracing?: Tracing;
  /** Called when nothing is under way any more, after the store was closed: lets go of what else is held. */
  readonly onStopped?: () => Promise<void>;
}

/** A service that is being served. */
export interface RunningService {
  /** As `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Turns unready, lets what is under way end, closes the store. Safe to call twice. */
  close(): Promise<void>;
}

/** Starts a service: listens, settles what a crash left open, relays events and sweeps. */
export async function startService(parts: ServiceParts, port: number, host: string): Promise<RunningService> {
  const { store, participant, logger, tokens } = parts;
  const outbox = parts.outbox ?? (store === undefined ? undefined : new StoreOutbox(store));
  const subscribers = (parts.subscribers ?? []).map(toSubscriber);
  const clock = parts.clock ?? systemClock;
  let ready = false;
  const metrics = parts.metrics ?? new ServiceMetrics(parts.name);
  if (outbox !== undefined) metrics.watchOutbox(subscribers, outbox);
  const server: HttpServer = httpServer({
    service: parts.name,
    version: parts.version,
    tokens,
    metrics,
    ready: () => ready,
    onError: (error) => logger.error({ err: error }, 'a request failed inside'),
    ...(participant === undefined ? {} : { participant }),
    ...(parts.routes === undefined ? {} : { routes: parts.routes }),
    ...(parts.rawRoutes === undefined ? {} : { rawRoutes: parts.rawRoutes }),
    ...(parts.maxInFlight === undefined ? {} : { maxInFlight: parts.maxInFlight }),
    ...(parts.maxConnections === undefined ? {} : { maxConnections: parts.maxConnections }),
    ...(parts.requestTimeout === undefined ? {} : { requestTimeout: parts.requestTimeout }),
  });
  const relay =
    outbox === undefined
      ? undefined
      : new Relay({
          ...parts.relay,
          outbox,
          clock,
          subscribers,
          tokenFile: parts.relayTokenFile,
          onError: (error, subscriber) =>
            logger.warn({ err: error, subscriber }, 'events could not be handed over; they will be sent again'),
        });
  const running = new Set<Promise<unknown>>();
  const tracked = (work: Promise<unknown>) => {
    running.add(work);
    return work.finally(() => running.delete(work));
  };
  const stopping = new AbortController();
  const own = participant === undefined ? [] : tasksOf(participant);
  const cancels: Cancel[] = [...own, ...(parts.tasks ?? [])].map((task) =>
    every(
      clock,
      task.interval,
      () => tracked(task.run(stopping.signal)),
      (error) => logger.error({ err: error, task: task.name }, 'a background task failed'),
    ),
  );
  const url = await server.listen(port, host);
  if (participant !== undefined) {
    // Beside serving: with the outside down, asking about each call could take longer than anybody would wait for the start.
    void tracked(participant.recover({ signal: stopping.signal })).then(
      (recovered) => logger.info(recovered, 'calls left in flight by the last process were asked about'),
      (error: unknown) => logger.error({ err: error }, 'calls left in flight could not be asked about; repeats will'),
    );
  }
  relay?.start();
  const queue = await listenToQueue(parts, metrics);
  const heard = await hearFromQueue(parts, metrics);
  ready = true;
  logger.info({ url }, 'listening');

  let closing: Promise<void> | undefined;
  const close = async () => {
    ready = false;
    stopping.abort();
    for (const cancel of cancels) cancel();
    parts.onStop?.();
    await Promise.all([server.close(seconds(10)), queue?.stop(seconds(10)), heard?.stop(seconds(10))]);
    await relay?.stop();
    await Promise.allSettled(running);
    await tokens.close();
    await store?.close();
    await parts.onStopped?.();
    await parts.tracing?.close();
    logger.info('stopped');
  };
  return {
    url,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

/** Carries out the commands of a queue, where there is one. The AWS SDK is loaded only then: it takes 20 MB, and most services do without. */
async function listenToQueue(
  { commandQueue, participant, tokens, logger, maxInFlight }: ServiceParts,
  metrics: ServiceMetrics,
): Promise<{ stop(grace: Milliseconds): Promise<void> } | undefined> {
  if (commandQueue === undefined || participant === undefined) return undefined;
  const { listenTo } = await import('./queue/listen.ts');
  const onError = (error: unknown) =>
    logger.warn({ err: error }, 'a command of the queue was not dealt with; it comes again');
  const onOutcome = metrics.watchCommandQueue();
  logger.info({ queue: commandQueue.url }, 'commands come from a queue too');
  return listenTo({
    queue: commandQueue,
    participant,
    tokens,
    onError,
    onOutcome,
    ...(maxInFlight === undefined ? {} : { maxInFlight }),
  });
}

/** Takes the events of a queue, where there is one. */
async function hearFromQueue(
  { eventQueue, inbox, logger }: ServiceParts,
  metrics: ServiceMetrics,
): Promise<{ stop(grace: Milliseconds): Promise<void> } | undefined> {
  if (eventQueue === undefined) return undefined;
  if (inbox === undefined) throw new ConfigError('MERCATO_EVENT_QUEUE is set, and this service hears of no events');
  const { takeEventsFrom } = await import('./events/consumer.ts');
  const onError = (error: unknown) => logger.warn({ err: error }, 'an event of the queue was not taken');
  logger.info({ queue: eventQueue.url }, 'events come from a queue too');
  return takeEventsFrom({ queue: eventQueue, inbox, onError, onOutcome: metrics.watchEventQueue() });
}

/** All who get a service's events: the bus, where there is one, as another subscriber. */
async function subscribersOf({ subscribers, eventBus }: ServiceConfig): Promise<readonly (string | Subscriber)[]> {
  if (eventBus === undefined) return subscribers;
  const { busSubscriber } = await import('./events/subscribers.ts');
  return [...subscribers, busSubscriber(eventBus)];
}

/** What keeps a participant's records in order. */
function tasksOf(participant: Participant): BackgroundTask[] {
  return [
    { name: 'sweep records', interval: minutes(1), run: (signal) => sweepRecords(participant, signal) },
    { name: 'settle open calls', interval: minutes(1), run: () => participant.recover() },
  ];
}

/** Fewer at a time than {@link SWEEP_ROWS}: a record is larger than most rows, and commands would wait while it is deleted. */
function sweepRecords(participant: Participant, signal: AbortSignal): Promise<void> {
  const limit = 200;
  return sweepAll(async () => (await participant.sweep(limit)) >= limit, signal);
}

/** What a service's own assembly gives: the rest follows from its settings, unless it says otherwise. */
export type AssembledParts = Omit<ServiceParts, 'name' | 'version' | 'tokens' | 'logger'> &
  Partial<Pick<ServiceParts, 'version' | 'tokens' | 'logger'>>;

/** What `runMain` hands to a service's own assembly. */
export interface MainPorts {
  readonly config: ServiceConfig;
  readonly env: Environment;
  readonly logger: Logger;
  readonly metrics: ServiceMetrics;
  /** As OpenTelemetry's variables of the environment say. Closed by `runMain`. */
  readonly tracing: Tracing;
}

/**
 * A service's whole `main.ts`: reads the environment, assembles, serves until SIGTERM or SIGINT, and exits 0 after a graceful stop.
 * A wrong setting ends it with exit code 2 and one line that names the variable.
 */
export async function runMain(name: string, assemble: (ports: MainPorts) => Promise<AssembledParts>): Promise<void> {
  const logger = createLogger(name, process.env['LOG_LEVEL'] || 'info');
  try {
    const config = readConfig(name, process.env);
    if (config.insecure)
      logger.warn('MERCATO_INSECURE_NO_AUTH=true: EVERYBODY WHO REACHES THIS PORT MAY CALL. For tests only.');
    const metrics = new ServiceMetrics(name);
    collectDefaultMetrics({ register: metrics.registry });
    const tracing = await tracingOf(name, process.env);
    const parts = await assemble({ config, env: process.env, logger, metrics, tracing });
    const { tokens, relayTokenFile, maxInFlight, commandQueue, eventQueue } = config;
    const subscribers = parts.subscribers ?? (await subscribersOf(config));
    const common = { name, version: '0.1.0', tokens, logger, metrics, tracing };
    const settings = { ...common, subscribers, relayTokenFile, maxInFlight, commandQueue, eventQueue };
    const { outboxRetention: retention, sequenceRetention } = config;
    const relay = { retention, sequenceRetention, ...parts.relay };
    const service = await startService({ ...settings, ...parts, relay }, config.port, config.host);
    const stop = (signal: NodeJS.Signals) => {
      logger.info({ signal }, 'stopping');
      service.close().then(
        () => process.exit(0),
        (error: unknown) => {
          logger.error({ err: error }, 'the stop failed');
          process.exit(1);
        },
      );
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
  } catch (error) {
    if (error instanceof ConfigError || error instanceof TracingConfigError) {
      logger.fatal(error.message);
      process.exit(2);
    }
    logger.fatal({ err: error }, 'cannot start');
    process.exit(1);
  }
}
