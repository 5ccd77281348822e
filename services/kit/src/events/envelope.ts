import { ProblemError } from '../problem.ts';

/**
 * The CloudEvent in a message's text: as it is, or as the `detail` of the envelope that EventBridge puts around it. (The operator has its like in
 * operator/src/intake/sqs-message.ts: neither may import the other.)
 * @throws ProblemError 400 `NotJson`
 */
export function eventIn(text: string): unknown {
  const parsed = parse(text);
  return isEnvelope(parsed) ? parsed.detail : parsed;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ProblemError(400, 'NotJson', 'the message is no JSON');
  }
}

/** EventBridge's own envelope has no `specversion`, and a CloudEvent has no `detail-type`. */
const isEnvelope = (value: unknown): value is { readonly detail: unknown } =>
  typeof value === 'object' &&
  value !== null &&
  'detail-type' in value &&
  'detail' in value &&
  !('specversion' in value);
