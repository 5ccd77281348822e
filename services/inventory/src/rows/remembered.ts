import { fingerprint, type Instant, type JsonObject, ProblemError, type Tx } from '@mercato/kit';

/**
 * Does something once, for ever: the same id with the same content gets the answer that it got, and changes nothing; so re-applying it from
 * Git or from a backup is harmless. What `work` refuses (throws) is not remembered: it changed nothing, and may be right another day.
 * @throws ProblemError 409 ContentChanged when the id was used for something else.
 */
export function once<Answer extends JsonObject>(
  tx: Tx,
  kind: 'adjustment' | 'receipt',
  id: string,
  content: JsonObject,
  at: Instant,
  work: () => Answer,
): Answer {
  const print = fingerprint(kind, content);
  const known = tx.get<{ fingerprint: string; answer: string }>(
    'SELECT fingerprint, answer FROM remembered WHERE kind = ? AND id = ?',
    kind,
    id,
  );
  if (known === undefined) {
    const answer = work();
    tx.run('INSERT INTO remembered VALUES (?, ?, ?, ?, ?)', kind, id, at, print, JSON.stringify(answer));
    return answer;
  }
  if (known.fingerprint !== print) {
    throw new ProblemError(409, 'ContentChanged', `${kind} ${id} was booked with another content; use a new id`);
  }
  return JSON.parse(known.answer) as Answer;
}
