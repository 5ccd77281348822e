import type { Announcements } from '../announce/announce.ts';
import { Announcer } from '../announce/announcer.ts';
import { bearerFor, bearerFromFile, HttpSubscriber } from '../announce/http.ts';
import { announcerMetrics } from '../announce/metrics.ts';
import type { Foundation } from './foundation.ts';

/** Adds what tells subscribers of runs. Without any, what is written to be told counts as told. */
export function addAnnouncer(
  { options, manager, tokens, metrics, clock, logger }: Foundation,
  from: {
    readonly source: Announcements;
    readonly ready: (signal: AbortSignal) => Promise<void>;
    readonly needsLeaderElection: boolean;
  },
): Announcer {
  const { announceTo, announceTokenFile, announceAudience } = options;
  const bearer =
    announceTokenFile === undefined ? bearerFor(tokens, announceAudience) : bearerFromFile(announceTokenFile);
  const announcer = new Announcer({
    ...from,
    subscribers: announceTo.map((url) => new HttpSubscriber(url, bearer)),
    metrics: announcerMetrics(metrics.registry),
    clock,
    logger,
  });
  manager.add(announcer);
  return announcer;
}
