import { type Asked, type EventName, nameOf, readEvent, tooOld } from './events.ts';
import { IntakeRefused } from './intake.ts';

/** What SQS takes at most. A larger body is none of its messages. */
const MAX_BODY_BYTES = 262_144;

/** Message attribute of a letter that a redrive put back: when it had asked about the order. RFC 3339. */
export const REDRIVEN = 'mercato-redriven';

/** For so long after its redrive a letter is taken however old its order is. Milliseconds. */
const REDRIVE_HOLDS = 86_400_000;

/** A message's text, as a CloudEvent. */
export interface Letter {
  readonly event: unknown;
  readonly name: EventName;
}

/**
 * The CloudEvent in a message's body: as it is, or as the `detail` of the envelope that EventBridge puts around it.
 *
 * @throws IntakeRefused `NotJson` or `TooLarge`
 */
export function openLetter(body: string): Letter {
  if (Buffer.byteLength(body) > MAX_BODY_BYTES)
    throw new IntakeRefused('TooLarge', `the body has over ${MAX_BODY_BYTES} bytes`);
  const parsed = parse(body);
  const event = isEnvelope(parsed) ? parsed.detail : parsed;
  return { event, name: nameOf(event) };
}

/**
 * What a letter asks for.
 *
 * @param redriven the attribute {@link REDRIVEN}
 * @param wall now; decides only whether an order is too old to be sure that it had no run
 * @param remembered how long finished orders are remembered. Milliseconds. @default 35 days
 * @throws IntakeRefused that names the attribute and quotes no data; `TooOld` for an order that intake may have forgotten
 */
export function readLetter({ event }: Letter, redriven: string | undefined, wall: number, remembered?: number): Asked {
  const asked = readEvent(event, wall);
  const refusal = tooOld(asked, wall, remembered);
  if (refusal === undefined) return asked;
  const askedAt = redriven === undefined ? Number.NaN : Date.parse(redriven);
  if (wall - askedAt <= REDRIVE_HOLDS) return asked;
  throw refusal;
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new IntakeRefused('NotJson', 'the body is no JSON');
  }
}

/** EventBridge's own envelope has no `specversion`, and a CloudEvent has no `detail-type`. */
function isEnvelope(value: unknown): value is { readonly detail: unknown } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'detail-type' in value &&
    'detail' in value &&
    !('specversion' in value)
  );
}
