/**
 * The mutation gate's list: each switches one rule of design.md or one promise of the participant contract off, by an exact replacement in one source
 * file. A simulation that does not notice has no teeth for that rule.
 */
export interface Mutation {
  readonly name: string;
  /** The rule or promise that it switches off. */
  readonly rule: string;
  /** From the repository's root. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** A seed that noticed when this was written; tried first. */
  readonly seed?: number;
}

const ENGINE = 'operator/src/saga';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'a key of its own for each sending',
    rule: '1 identity',
    file: `${ENGINE}/course.ts`,
    find: 'key: commandKey(draft.context.id, definition.name, kind),',
    replace: 'key: commandKey(draft.context.id, definition.name + sends, kind),',
  },
  {
    name: 'a run that has ended before is carried out again',
    rule: '1 identity, 2e the end',
    file: 'test/sim/worker.ts',
    find: 'if (before !== undefined) return this.#recall(object, before);',
    replace: '',
  },
  {
    name: 'the pivot is sent before its intent is durable',
    rule: '2b durable before acting',
    file: `${ENGINE}/course.ts`,
    find: "if (intends) change(draft, { pivotIntent: true }, 'before');",
    replace: 'if (intends) change(draft, { pivotIntent: true });',
  },
  {
    name: 'compensations are sent before the decision is durable',
    rule: '2c durable before acting',
    file: `${ENGINE}/course.ts`,
    find: "cause: { ...cause, message: clip(cause.message) } }, 'before');",
    replace: 'cause: { ...cause, message: clip(cause.message) } });',
  },
  {
    name: 'a decision is carried out before it is durable',
    rule: '2d durable before acting',
    file: `${ENGINE}/decisions.ts`,
    find: "outcome === 'Accepted' ? 'before' : 'soon',",
    replace: "'soon',",
  },
  {
    name: 'the end is told before it is durable',
    rule: '2e durable before acting',
    file: 'operator/src/runner/run.ts',
    find: '      await this.#persist();\n      if (this.#stopped) return;\n    } else',
    replace:
      '      if (made.state.ended !== undefined) this.#dirty = false;\n      else await this.#persist();\n      if (this.#stopped) return;\n    } else',
  },
  {
    name: 'the runner acts first and writes then',
    rule: '2 durable before acting',
    file: 'operator/src/runner/run.ts',
    find: "if (made.durability === 'before') {",
    replace: "if (made.durability === 'never' as string) {",
  },
  {
    name: 'after a take-over a step that was not seen sent counts as not sent',
    rule: '3 take-over',
    file: `${ENGINE}/engine.ts`,
    find: "(died && action.state === 'Pending' && draft.state.direction === 'Forward' && index < reach)",
    replace: 'false',
  },
  {
    name: 'after a take-over what was in flight counts as not sent',
    rule: '3 take-over',
    file: `${ENGINE}/engine.ts`,
    find: "changeDelivery(draft, index, 'action', { state: 'Unknown', due: draft.state.clock });",
    replace: "changeDelivery(draft, index, 'action', { state: 'Pending', due: draft.state.clock });",
  },
  {
    name: 'compensation goes from first to last',
    rule: '4 reverse order',
    file: `${ENGINE}/draft.ts`,
    find: 'const index = state.steps.findLastIndex(',
    replace: 'const index = state.steps.findIndex(',
  },
  {
    name: 'only what succeeded is compensated',
    rule: '4 covers what is unknown',
    file: `${ENGINE}/draft.ts`,
    find: "return step.action.state !== 'Pending' && step.action.state !== 'Failed';",
    replace: "return step.action.state === 'Succeeded' || step.action.state === 'Skipped';",
  },
  {
    name: 'a run turns back after the pivot was sent',
    rule: '4 forward only after the pivot',
    file: `${ENGINE}/draft.ts`,
    find: "return !state.pivotIntent || state.steps[pivotIndex(revision)]?.action.state === 'Failed';",
    replace: 'return true;',
  },
  {
    name: 'the intent of the pivot is forgotten',
    rule: '4 forward only, 8 cancel against pivot',
    file: `${ENGINE}/course.ts`,
    find: "if (intends) change(draft, { pivotIntent: true }, 'before');",
    replace: "if (intends) change(draft, {}, 'before');",
  },
  {
    name: 'a business failure is tried again',
    rule: '5 answers: business failure is final',
    file: `${ENGINE}/answers.ts`,
    find: 'return failed(draft, index, answer.reason, answer.message);',
    replace:
      "return retry(draft, index, 'action', { type: 'Unknown', reason: answer.reason, message: answer.message });",
  },
  {
    name: 'what is unknown counts as failed',
    rule: '5 answers: unknown is not failed',
    file: `${ENGINE}/answers.ts`,
    find: "return retry(draft, index, 'action', answer);",
    replace: 'return failed(draft, index, answer.reason, answer.message);',
  },
  {
    name: 'an undeclared reason counts as a business failure',
    rule: '5 answers: only declared reasons',
    file: 'operator/src/participants/answer.ts',
    find: 'if (reason !== undefined && reasons.includes(reason)) {',
    replace: 'if (reason !== undefined) {',
  },
  {
    name: 'a 404 counts as a business failure',
    rule: '5 answers: everything else is unknown',
    file: 'operator/src/participants/answer.ts',
    find: '  const media = mediaType(raw.contentType);\n  const text = excerptOf(raw.body);',
    replace:
      "  if (raw.status === 404 || raw.status === 500) return { type: 'BusinessFailure', reason: 'NotFound', message: '' };\n  const media = mediaType(raw.contentType);\n  const text = excerptOf(raw.body);",
  },
  {
    name: 'any 200 counts as a success',
    rule: '5 answers: success is 200 and an output',
    file: 'operator/src/participants/answer.ts',
    find: "return 'type' in parsed ? parsed : readOutput(parsed.value, expected);",
    replace: "return 'type' in parsed ? { type: 'Success', output: {} } : readOutput(parsed.value, expected);",
  },
  {
    name: 'a Retry sends the same epoch',
    rule: '6 epochs',
    file: `${ENGINE}/decisions.ts`,
    find: 'epoch: Math.max(action.epoch, hold.knownEpoch ?? 0) + 1 });',
    replace: 'epoch: action.epoch });',
  },
  {
    name: 'a compensation keeps epoch 1',
    rule: '6 a compensation undoes every epoch',
    file: `${ENGINE}/course.ts`,
    find: 'const epoch = Math.max(step.compensation.epoch, step.action.epoch);',
    replace: 'const epoch = step.compensation.epoch;',
  },
  {
    name: 'a hold does not stop the run',
    rule: '7 holds',
    file: `${ENGINE}/engine.ts`,
    find: 'return state.ended !== undefined || state.hold !== undefined || state.paused;',
    replace: 'return state.ended !== undefined || state.paused;',
  },
  {
    name: 'a hold does not stop the deadline',
    rule: '7 holds, 9 time',
    file: `${ENGINE}/engine.ts`,
    find: 'const counts = state.hold === undefined && !state.paused;',
    replace: 'const counts = !state.paused;',
  },
  {
    name: 'a decision for another hold is taken',
    rule: '7 stale decisions',
    file: `${ENGINE}/decisions.ts`,
    find: 'if (decision.holdId !== hold.id)',
    replace: 'if (decision.holdId === undefined)',
  },
  {
    name: 'Skip takes the step from what is compensated',
    rule: '7 a skipped action stays registered',
    file: `${ENGINE}/draft.ts`,
    find: "return step.action.state !== 'Pending' && step.action.state !== 'Failed';",
    replace:
      "return step.action.state !== 'Pending' && step.action.state !== 'Failed' && step.action.state !== 'Skipped';",
  },
  {
    name: 'Skip asks for no outputs',
    rule: '7 Skip supplies outputs',
    file: `${ENGINE}/decisions.ts`,
    find: "if (hold.kind === 'compensation') return undefined;",
    replace: 'return undefined;',
  },
  {
    name: 'Abort leaves no record',
    rule: '7 exception records',
    file: `${ENGINE}/decisions.ts`,
    find: "  giveUp(draft, entries);\n  end(draft, 'Aborted'",
    replace: "  end(draft, 'Aborted'",
  },
  {
    name: 'a run that is let go leaves no record',
    rule: '8 let go',
    file: `${ENGINE}/engine.ts`,
    find: "giveUp(draft, leftInPlace(draft.state, 'LetGo', 'mercato-operator', reason));",
    replace: '',
  },
  {
    name: 'a cancel is granted at any time',
    rule: '8 cancel against pivot',
    file: `${ENGINE}/engine.ts`,
    find: '  if (canTurnBack(draft.revision, draft.state)) {\n    change(draft, { cancel: { ...cancel, outcome',
    replace: "  if (direction === 'Forward') {\n    change(draft, { cancel: { ...cancel, outcome",
  },
  {
    name: 'the deadline heeds the wall clock',
    rule: '9 monotonic time',
    file: `${ENGINE}/engine.ts`,
    find: 'const elapsed = Math.max(0, draft.now.elapsed);',
    replace: 'const elapsed = Math.max(0, draft.now.wall - state.begunAt - state.clock);',
  },
  {
    name: 'past the pivot the deadline compensates',
    rule: '9 past the pivot only overdue',
    file: `${ENGINE}/course.ts`,
    find: '  if (!canTurnBack(draft.revision, draft.state)) {\n    if (!draft.state.overdue) {',
    replace: '  if (false as boolean) {\n    if (!draft.state.overdue) {',
  },
  {
    name: 'a write overwrites what somebody else wrote',
    rule: '10 one writer',
    file: 'operator/src/runner/run.ts',
    find: "    this.abandon();\n    this.#finished('Taken');\n    return false;",
    replace: '    return false;',
  },
  {
    name: 'a journal whose checksum does not fit is believed',
    rule: '7 damaged journal',
    file: 'operator/src/journals/kubernetes/codec.ts',
    find: 'status.checksum !== checksum(id, status)',
    replace: 'false',
  },
  {
    name: 'a key is carried out again',
    rule: 'participants: repeat',
    file: 'services/kit/src/participant/rules.ts',
    find: "if (attempt.state === 'success' || asked.epoch === attempt.epoch) return stored(attempt);",
    replace: "if (asked.epoch === attempt.epoch && attempt.state === 'success') return { do: 'begin' };",
  },
  {
    name: 'a higher epoch replaces a success',
    rule: 'participants: epochs',
    file: 'services/kit/src/participant/rules.ts',
    find: "if (attempt.state === 'success' || asked.epoch === attempt.epoch) return stored(attempt);",
    replace: 'if (asked.epoch === attempt.epoch) return stored(attempt);',
  },
  {
    name: 'the effect is committed before its record',
    rule: 'participants: same transaction',
    file: 'services/kit/src/participant/participant.ts',
    find: "      this.#crashPoint?.('effect');\n      this.#save(tx, parsed, { ...attempt, state: 'success', answer: output });",
    replace:
      "      tx.run('COMMIT');\n      tx.run('BEGIN IMMEDIATE');\n      tx.run('SAVEPOINT operation');\n      this.#crashPoint?.('effect');\n      this.#save(tx, parsed, { ...attempt, state: 'success', answer: output });",
  },
  {
    name: 'another body under the same key is answered',
    rule: 'participants: fingerprint',
    file: 'services/kit/src/participant/rules.ts',
    find: '  if (attempt !== undefined && attempt.fingerprint !== asked.fingerprint) return mismatch(attempt);\n  if (asked.epoch <= record.fence) {',
    replace: '  if (asked.epoch <= record.fence) {',
  },
  {
    name: 'a compensation without its action is refused',
    rule: 'participants: empty compensation',
    file: 'services/kit/src/participant/rules.ts',
    find: "if (record === undefined) return asked.begun < asked.horizon ? expired() : { do: 'fence', output: {} };",
    replace: 'if (record === undefined) return expired();',
  },
  {
    name: 'an action after its compensation is carried out',
    rule: 'participants: no hanging action',
    file: 'services/kit/src/participant/rules.ts',
    find: '  if (asked.epoch <= record.fence) {\n    return answer(',
    replace: '  if (asked.epoch <= record.fence && (false as boolean)) {\n    return answer(',
  },
  {
    name: 'an empty compensation leaves no tombstone',
    rule: 'participants: tombstones',
    file: 'services/kit/src/participant/participant.ts',
    find: 'saveCompensation(tx, stepKey, parsed.begun, attempt, parsed.epoch);',
    replace: 'void saveCompensation; void attempt;',
  },
  {
    name: 'an expired hold is committed',
    rule: 'participants: expiry',
    file: 'services/inventory/src/commands/commit.ts',
    find: "state === 'expired' || (state === 'reserved' && expiresAt <= context.now)",
    replace: 'false as boolean',
  },
  {
    name: 'a committed hold expires all the same',
    rule: 'participants: what is used later is confirmed first',
    file: 'services/inventory/src/rows/reservations.ts',
    find: "WHERE state = 'reserved' AND expires_at <= ?",
    replace: "WHERE state IN ('reserved', 'committed') AND expires_at <= ?",
  },
  {
    name: 'a void that comes first is forgotten by payment',
    rule: 'participants: what turns up late is undone',
    file: 'services/payment/src/commands/void.ts',
    find: 'return { row: { ...rest, checkAt: nowMs + FIRST_CHECK_MS } };',
    replace: 'return { row: rest };',
  },
];
