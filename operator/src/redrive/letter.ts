import { MESSAGE, REASON } from '../aws/dead-letters.ts';
import type { Received } from '../aws/sqs.ts';
import { ORDER_PLACED } from '../intake/events.ts';
import { IntakeRefused } from '../intake/intake.ts';
import { openLetter } from '../intake/sqs-message.ts';
import { excerpt } from '../participants/excerpt.ts';
import type { Selection } from './options.ts';

/** Of a letter that its redrive policy put aside. Nobody was told of it. */
const RECEIVED_TOO_OFTEN = 'ReceivedTooOften';

/** What a person sees of a dead letter. Nothing of an event's data is among it, so neither payment tokens nor addresses. */
export interface DeadLetter {
  readonly messageId: string;
  /** In CamelCase. `ReceivedTooOften`: its redrive policy put it aside, and nobody said why. */
  readonly reason: string;
  readonly why: string;
  /** `namespace/saga/orderId`, as far as it can be told. */
  readonly run: string;
  readonly orderId: string;
  readonly type: string;
  /** When the event was made, as it says; undefined when it does not. Milliseconds since the epoch. */
  readonly madeAt: number | undefined;
  /** When it was put aside. */
  readonly putAsideAt: number;
}

/** What is to become of a letter. */
export type Verdict =
  /** It was not chosen. */
  | 'NotChosen'
  | 'Move'
  /** Its order was told to have failed, when intake refused it: the order service has to say how it stands. */
  | 'AskRefused'
  /** Intake may have forgotten its order: the order service has to say whether it has ended. */
  | 'AskOld';

/** How an order stands, as the order service tells. */
export type Standing =
  | 'Open'
  /** Over: it was refused, or its run was undone. */
  | 'Failed'
  /** Over in another way. */
  | 'Ended'
  /** It has no such order. */
  | 'Unknown'
  /** It did not tell. */
  | 'Untold';

/** Reads what lies in a dead-letter queue. Never throws: it is there because something is wrong with it. */
export function readDeadLetter({ id, body, attributes, sentAt }: Received): DeadLetter {
  const event = eventOf(body);
  const said = (name: string): string => {
    const value = event[name];
    return typeof value === 'string' ? excerpt(value, 63) : '';
  };
  const orderId = said('subject');
  const madeAt = Date.parse(said('time'));
  return {
    messageId: id,
    reason: excerpt(attributes[REASON] ?? RECEIVED_TOO_OFTEN, 40),
    why: excerpt(attributes[MESSAGE] ?? 'it was received too often; see the log of the workers', 256),
    run: orderId === '' ? '' : `${said('mercatonamespace')}/${said('mercatosaga')}/${orderId}`,
    orderId,
    type: said('type'),
    madeAt: Number.isNaN(madeAt) ? undefined : madeAt,
    putAsideAt: sentAt,
  };
}

/** Whether a letter may be moved. @param now milliseconds since the epoch @param remembered how long intake remembers orders. Milliseconds */
export function judge(letter: DeadLetter, selection: Selection, now: number, remembered: number): Verdict {
  if (!isChosen(letter, selection)) return 'NotChosen';
  if (letter.orderId === '') return 'Move';
  if (letter.madeAt !== undefined && now - letter.madeAt > remembered) return 'AskOld';
  return letter.type === ORDER_PLACED && letter.reason !== RECEIVED_TOO_OFTEN ? 'AskRefused' : 'Move';
}

function isChosen({ orderId, reason }: DeadLetter, selection: Selection): boolean {
  return selection === 'All' || selection.orders.includes(orderId) || selection.reasons.includes(reason);
}

function eventOf(body: string): Readonly<Record<string, unknown>> {
  try {
    const { event } = openLetter(body);
    return typeof event === 'object' && event !== null ? (event as Readonly<Record<string, unknown>>) : {};
  } catch (error) {
    if (error instanceof IntakeRefused) return {};
    throw error;
  }
}
