export { type TraceSpan, type Tracing, untraced } from '@mercato/tracing';
export * from './auth/tokens.ts';
export * from './clock.ts';
export * from './config.ts';
export { type Listing, listingRoutes } from './http/admin.ts';
export * from './http/route.ts';
export { parseEvents, type ReceivedEvent } from './inbox/event.ts';
export * from './inbox/inbox.ts';
export { eventsRoute } from './inbox/route.ts';
export * from './json.ts';
export * from './key.ts';
export * from './log.ts';
export * from './metrics.ts';
export { NotTaken } from './outbox/not-taken.ts';
export {
  appendEvent,
  type CloudEvent,
  cloudEventOf,
  type OrderEvent,
  Outbox,
  outboxMigrations,
} from './outbox/outbox.ts';
export { Relay, type RelayOptions, type SendEvents } from './outbox/relay.ts';
export * from './outbox/source.ts';
export { StoreOutbox } from './outbox/store-outbox.ts';
export * from './participant/answer.ts';
export * from './participant/command.ts';
export * from './participant/participant.ts';
export { type Attempt, recordMigrations, recordsOfOrder, type StepRecord } from './participant/record.ts';
export { type Asked, contractRules, type Rules, type Ruling } from './participant/rules.ts';
export * from './problem.ts';
export * from './service.ts';
export * from './store/migrations.ts';
export * from './store/port.ts';
export { openDatabase, type SqliteOptions, SqliteStore } from './store/sqlite.ts';
export { traceparentOf } from './traceparent.ts';
export * from './units.ts';
