import { Counter, Gauge, type Registry } from 'prom-client';

/** What is measured of announcements. */
export interface AnnouncerMetrics {
  readonly told: Counter<'subscriber' | 'outcome'>;
  /** @param read by subscriber: how many announcements it has not been told, and how old the oldest is, in seconds */
  watch(read: () => Iterable<readonly [subscriber: string, waiting: number, oldest: number]>): void;
}

/** Registers the metrics of announcements. */
export function announcerMetrics(registry: Registry): AnnouncerMetrics {
  const registers = [registry];
  return {
    told: new Counter({
      name: 'mercato_announcements_total',
      help: 'Announcements of runs, by subscriber and whether it took them; one that it did not take is sent again.',
      labelNames: ['subscriber', 'outcome'],
      registers,
    }),
    watch(read) {
      const gauge = (name: string, help: string, of: 1 | 2): void => {
        new Gauge({
          name,
          help,
          labelNames: ['subscriber'],
          registers,
          collect() {
            for (const entry of read()) this.set({ subscriber: entry[0] }, entry[of]);
          },
        });
      };
      gauge(
        'mercato_announcements_waiting',
        'Announcements that a subscriber has not been told, as far as they are read.',
        1,
      );
      gauge(
        'mercato_announcements_oldest_seconds',
        'How old the oldest announcement is that a subscriber has not been told.',
        2,
      );
    },
  };
}
