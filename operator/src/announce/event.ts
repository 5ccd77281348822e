import type { Announcement } from '../journals/worker-journal.ts';
import { runKey } from '../saga/command.ts';

/** A CloudEvents 1.0 event in its JSON form, of a run. Its extensions are those of the services' own events. */
export interface AnnouncedEvent {
  readonly specversion: '1.0';
  /** `{namespace}/{saga}/{orderId}/{sequence}` */
  readonly id: string;
  readonly source: '/mercato/operator';
  readonly type: `dev.mercato.saga.${Announcement['type']}`;
  /** The order id. */
  readonly subject: string;
  readonly time: string;
  /** Digits; rises with each event of a run, and is the same when the same is told again. */
  readonly sequence: string;
  readonly mercatonamespace: string;
  readonly mercatosaga: string;
  readonly datacontenttype: 'application/json';
  readonly data: { readonly reason?: string; readonly message?: string; readonly step?: string };
  readonly traceparent?: string;
}

/** What the world outside is told of a run, as it is told. */
export function eventOf(announcement: Announcement): AnnouncedEvent {
  const { id, sequence, type, at, reason, message, step, traceparent } = announcement;
  return {
    specversion: '1.0',
    id: `${runKey(id)}/${sequence}`,
    source: '/mercato/operator',
    type: `dev.mercato.saga.${type}`,
    subject: id.orderId,
    time: new Date(at).toISOString(),
    sequence: String(sequence),
    mercatonamespace: id.namespace,
    mercatosaga: id.saga,
    datacontenttype: 'application/json',
    data: {
      ...(reason === undefined ? {} : { reason }),
      ...(message === undefined ? {} : { message }),
      ...(step === undefined ? {} : { step }),
    },
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}
