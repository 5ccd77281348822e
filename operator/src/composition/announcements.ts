import type { Announcements } from '../announce/announce.ts';
import { Announcer } from '../announce/announcer.ts';
import { EventBusSubscriber } from '../announce/event-bus.ts';
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
  const { announceTo, announceBus, announceTokenFile, announceAudience } = options;
  const bearer =
    announceTokenFile === undefined ? bearerFor(tokens, announceAudience) : bearerFromFile(announceTokenFile);
  const announcer = new Announcer({
    ...from,
    subscribers: [
      ...announceTo.map((url) => new HttpSubscriber(url, bearer)),
      ...(announceBus === undefined ? [] : [new EventBusSubscriber({ bus: announceBus, clock })]),
    ],
    metrics: announcerMetrics(metrics.registry),
    clock,
    logger,
  });
  manager.add(announcer);
  return announcer;
}

/** Whether anybody is told: otherwise nothing need be written down to be told. */
export const isTold = ({
  announceTo,
  announceBus,
}: Pick<Foundation['options'], 'announceTo' | 'announceBus'>): boolean =>
  announceTo.length > 0 || announceBus !== undefined;
