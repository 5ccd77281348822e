import { expect } from 'chai';
import fc from 'fast-check';
import {
  type Condition,
  findCondition,
  isTrue,
  MAX_CONDITION_MESSAGE,
  type Observation,
  setCondition,
} from './conditions.ts';

const EARLY = '2026-11-22T12:00:00Z';
const LATE = '2026-11-22T13:00:00Z';
const ready: Observation = {
  type: 'Ready',
  status: 'True',
  observedGeneration: 1,
  reason: 'Resolved',
  message: 'it answers',
};

const observation: fc.Arbitrary<Observation> = fc.record({
  type: fc.constantFrom('Ready', 'Accepted', 'StockLow'),
  status: fc.constantFrom('True', 'False', 'Unknown'),
  observedGeneration: fc.nat(3),
  reason: fc.constantFrom('A', 'B'),
  message: fc.constantFrom('x', 'y'),
});

const fold = (observations: readonly Observation[]): readonly Condition[] =>
  observations.reduce<readonly Condition[]>((list, seen, index) => setCondition(list, seen, String(index)), []);

describe('conditions', () => {
  it('say when the status last changed, not when they were last looked at', () => {
    fc.assert(
      fc.property(fc.array(observation), (observations) => {
        for (const { type, lastTransitionTime } of fold(observations)) {
          const ours = observations.map((seen, index) => ({ ...seen, index })).filter((seen) => seen.type === type);
          const last = ours.findLastIndex((seen, i) => seen.status !== ours[i - 1]?.status);
          expect(lastTransitionTime).to.equal(String(ours[last]?.index));
        }
      }),
    );
  });

  it('have one entry a type, with what was observed last', () => {
    fc.assert(
      fc.property(fc.array(observation), (observations) => {
        const list = fold(observations);
        expect(list.map(({ type }) => type)).to.deep.equal([...new Set(observations.map(({ type }) => type))]);
        for (const { lastTransitionTime: _, ...seen } of list) {
          expect(seen).to.deep.equal(observations.findLast(({ type }) => type === seen.type));
        }
      }),
    );
  });

  it('are the very same list when nothing changed, and a new one otherwise', () => {
    const list = setCondition(undefined, ready, EARLY);
    expect(setCondition(list, { ...ready }, LATE)).to.equal(list);
    const moved = setCondition(list, { ...ready, observedGeneration: 2 }, LATE);
    expect(moved[0]).to.deep.equal({ ...ready, observedGeneration: 2, lastTransitionTime: EARLY });
    expect(list[0]?.observedGeneration).to.equal(1);
  });

  it('cut a message that the API server would refuse, between characters', () => {
    const [long] = setCondition([], { ...ready, message: '💳'.repeat(MAX_CONDITION_MESSAGE + 1) }, EARLY);
    expect(long?.message).to.equal(`${'💳'.repeat(MAX_CONDITION_MESSAGE - 1)}…`);
    const [fits] = setCondition([], { ...ready, message: '💳'.repeat(MAX_CONDITION_MESSAGE) }, EARLY);
    expect(fits?.message).to.equal('💳'.repeat(MAX_CONDITION_MESSAGE));
  });

  it('are found by type, and absent is not true', () => {
    const list = setCondition(setCondition([], ready, EARLY), { ...ready, type: 'Paused', status: 'Unknown' }, EARLY);
    expect(findCondition(list, 'Paused')?.status).to.equal('Unknown');
    expect([
      isTrue(list, 'Ready'),
      isTrue(list, 'Paused'),
      isTrue(list, 'Absent'),
      isTrue(undefined, 'Ready'),
    ]).to.deep.equal([true, false, false, false]);
  });
});
