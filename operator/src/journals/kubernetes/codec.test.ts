import { expect } from 'chai';
import fc from 'fast-check';
import {
  businessFailure,
  CHECKOUT,
  CHECKOUT_AND_MORE,
  CONTEXT,
  Rehearsal,
  revision,
  success,
  unknown,
} from '../../saga/rehearsal.ts';
import type { Answer, Decision, RunEvent, RunState } from '../../saga/types.ts';
import { checksumOf, decode, encode, type JournalledStatus } from './codec.ts';

const { id } = CONTEXT;
const OUTPUTS = { reservationId: 'r', authorisationId: 'a', warehouses: 'w', captureId: 'c' };

/** The status as the API server answers it: JSON, without what is absent. */
const stored = (state: RunState): JournalledStatus => JSON.parse(JSON.stringify(encode(id, state))) as JournalledStatus;

type Move = { readonly answer: Answer } | { readonly decide: Decision['do'] } | { readonly event: RunEvent } | 'wait';

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .constantFrom('reserve', 'authorise', 'commit', 'book', 'capture')
      .map((step) => ({ answer: success(step) })),
  },
  {
    weight: 4,
    arbitrary: fc
      .constantFrom<Answer>(
        businessFailure(),
        unknown(),
        unknown('Ünï "quoted" \u0000 \ud83d\ude80'),
        { type: 'Accepted' },
        { type: 'NotNow', reason: 'Busy', message: 'later' },
        { type: 'Refused', reason: 'StaleEpoch', message: 'no', epoch: 3 },
        { type: 'Success', output: { reservationId: 'r', nested: { list: [1, null, true, { a: '' }] } } },
      )
      .map((answer) => ({ answer })),
  },
  { weight: 4, arbitrary: fc.constant('wait' as const) },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Decision['do']>('Retry', 'Skip', 'Compensate', 'Abort').map((decide) => ({ decide })),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom<RunEvent>(
        { type: 'Cancelled', reason: 'changed my mind' },
        { type: 'Paused' },
        { type: 'Resumed' },
        { type: 'TakenOver', died: true },
        { type: 'Damaged', message: 'edited' },
        { type: 'LetGo', reason: 'gone' },
      )
      .map((event) => ({ event })),
  },
);

/** States that runs can come to. */
const states: fc.Arbitrary<RunState> = fc
  .record({
    steps: fc.constantFrom(CHECKOUT, CHECKOUT_AND_MORE),
    deadline: fc.constantFrom(800, 10 ** 9),
    onStepFailure: fc.constantFrom('Compensate' as const, 'Hold' as const),
    moves: fc.array(move, { maxLength: 40, size: 'max' }),
  })
  .map(({ steps, moves, ...fields }) => {
    const run = new Rehearsal(revision(steps, fields));
    run.tick();
    for (const next of moves) {
      if (next === 'wait') run.tick(run.last.wakeIn ?? 50);
      else if ('answer' in next) run.answer(next.answer, 7);
      else if ('event' in next) run.tell(next.event, 3);
      else run.decide({ do: next.decide, ...(next.decide === 'Skip' ? { outputs: OUTPUTS } : {}) });
    }
    return run.state;
  });

/** Every place in a status, as the keys that lead there. */
function placesOf(value: unknown, path: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [path];
  const inner = Object.entries(value).flatMap(([key, field]) =>
    placesOf(field, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return path.length === 0 ? inner : [path, ...inner];
}

function edited(
  status: JournalledStatus,
  path: readonly (string | number)[],
  how: 'change' | 'remove',
): JournalledStatus {
  const copy = structuredClone(status) as Record<string | number, unknown>;
  let parent = copy;
  for (const key of path.slice(0, -1)) parent = parent[key] as Record<string | number, unknown>;
  const last = path.at(-1) as string | number;
  const before = parent[last];
  if (how === 'change') parent[last] = typeof before === 'number' ? before + 1 : `${String(before)}x`;
  else if (Array.isArray(parent)) parent.splice(last as number, 1);
  else delete parent[last];
  return copy as JournalledStatus;
}

describe('The journal in a status', function () {
  this.timeout(60_000);

  it('gives back every state that a run can come to', () => {
    fc.assert(
      fc.property(states, (state) => {
        expect(decode(id, stored(state))).to.deep.equal({ state });
      }),
      { numRuns: 500 },
    );
  });

  it('gives it back whatever the order of the fields, and beside fields that it does not know', () => {
    fc.assert(
      fc.property(states, (state) => {
        const turned = Object.fromEntries(Object.entries(stored(state)).reverse());
        const more = { ...turned, conditions: [], forecast: 'sunny', nextAction: 'x' };
        expect(decode(id, more as JournalledStatus)).to.deep.equal({ state });
      }),
      { numRuns: 100 },
    );
  });

  it('notices every edit of any field, and every removal', () => {
    fc.assert(
      fc.property(states, fc.nat(), fc.constantFrom('change' as const, 'remove' as const), (state, which, how) => {
        const status = stored(state);
        const places = placesOf(status);
        const path = places[which % places.length] as (string | number)[];
        const found = decode(id, edited(status, path, how));
        expect(found, `${how} ${path.join('.')}`).to.have.property('damaged');
      }),
      { numRuns: 2000 },
    );
  });

  it('notices a status that was copied from another run', () => {
    const state = new Rehearsal().runTo('authorise').state;
    for (const other of [
      { ...id, orderId: 'o-2' },
      { ...id, saga: 'other' },
      { ...id, namespace: 'other' },
    ])
      expect(decode(other, stored(state))).to.have.property('damaged');
  });

  it('takes a status that nobody has written a run to for a run that has not begun', () => {
    for (const status of [undefined, {}, { phase: 'Pending' as const }, { steps: [] }])
      expect(decode(id, status)).to.equal(undefined);
  });

  it('does not take a run for a new one because its checksum was removed', () => {
    const { checksum: _, ...rest } = stored(new Rehearsal().runTo('authorise').state);
    expect(decode(id, rest)).to.have.property('damaged');
  });

  it('does not touch what a newer operator wrote', () => {
    const { checksum: _, ...status } = stored(new Rehearsal().runTo('authorise').state);
    const fields = { ...status, journal: JSON.stringify({ ...JSON.parse(status.journal ?? ''), v: 2 }) };
    const newer = { ...fields, checksum: checksumOf(id, fields) };
    expect(decode(id, newer)).to.deep.equal({
      newer: 'the journal has format 2, this operator reads 1: run the newer operator again',
    });
  });

  it('stays small: a run that went through everything has less than 4 KiB beside its outputs', () => {
    fc.assert(
      fc.property(states, (state) => {
        const bare = { ...state, steps: state.steps.map(({ output: _, ...step }) => step) };
        expect(Buffer.byteLength(encode(id, bare).journal ?? '')).to.be.below(4096);
      }),
      { numRuns: 200 },
    );
  });

  it('takes a journal that cannot be read for damaged, also where its checksum fits', () => {
    for (const journal of ['{', 'null', '{"v":1}']) {
      const edited = { ...stored(new Rehearsal().state), journal };
      expect(decode(id, { ...edited, checksum: checksumOf(id, edited) }), journal).to.have.property('damaged');
    }
  });
});
