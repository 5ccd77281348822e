import { expect } from 'chai';
import { CHECKOUT, CHECKOUT_AND_MORE, revision, step } from './rehearsal.ts';
import { outputsUsedAfter, pivotIndex, problemsOf, revisionOf } from './revision.ts';

describe('revisionOf', () => {
  it('names equal definitions alike, whatever the order of their properties', () => {
    const reordered = CHECKOUT.map((one) => Object.fromEntries(Object.entries(one).reverse()) as unknown as typeof one);
    expect(revision(reordered).hash).to.equal(revision().hash);
    expect(revision().hash).to.match(/^[0-9a-f]{20}$/);
  });

  it('names every difference', () => {
    const hashes = [
      revision(),
      revision(CHECKOUT, { deadline: 1 }),
      revision(CHECKOUT, { onStepFailure: 'Hold' }),
      revision(CHECKOUT.slice(1)),
      revision([{ ...CHECKOUT[0]!, timeout: 2 }, ...CHECKOUT.slice(1)]),
    ].map(({ hash }) => hash);
    expect(new Set(hashes)).to.have.length(hashes.length);
  });

  it('keeps its name for ever: journals refer to it', () => {
    const content = { steps: [step('a', { pivot: true })], deadline: 1000, onStepFailure: 'Hold' as const };
    expect(revisionOf(content).hash).to.equal('783173b797fddea26757');
  });

  it('does not take over properties that are no part of a revision', () => {
    const more = { ...revision(), hash: 'x', pause: { until: 'later' } };
    expect(revisionOf(more)).to.deep.equal(revision());
  });
});

describe('pivotIndex', () => {
  it('finds the pivot, or the end of a definition without one', () => {
    expect(pivotIndex(revision(CHECKOUT_AND_MORE))).to.equal(4);
    expect(pivotIndex(revision(CHECKOUT.slice(0, 2)))).to.equal(2);
  });
});

describe('outputsUsedAfter', () => {
  it('lists each output that later steps use once', () => {
    const steps = [step('a'), step('b', { uses: ['a.x', 'a.y'] }), step('c', { uses: ['a.x', 'ab.z', 'b.q'] })];
    expect(outputsUsedAfter(revision(steps), 'a')).to.deep.equal(['x', 'y']);
    expect(outputsUsedAfter(revision(steps), 'c')).to.deep.equal([]);
  });
});

describe('problemsOf', () => {
  it('finds none in the shop’s own saga', () => {
    expect(problemsOf(CHECKOUT_AND_MORE)).to.deep.equal([]);
  });

  it('says what is wrong and what to do', () => {
    const cases: [string, ReturnType<typeof step>[]][] = [
      ['two steps are named a: rename one of them', [step('a'), step('a')]],
      ['a and b are both the pivot: a saga has at most one', [step('a', { pivot: true }), step('b', { pivot: true })]],
      [
        'a is the pivot and is never compensated: remove its compensation',
        [step('a', { pivot: true, compensation: 'x' })],
      ],
      [
        'b is after the pivot and is never compensated: remove its compensation',
        [step('a', { pivot: true }), step('b', { compensation: 'x' })],
      ],
      [
        'a uses two fields named total: a command gets each name once',
        [step('a', { uses: ['input.total', 'input.total'] })],
      ],
    ];
    for (const [problem, steps] of cases) expect(problemsOf(steps)).to.deep.equal([problem]);
  });

  it('refuses a use of an unknown field, of a later step and of the step itself', () => {
    for (const use of ['input.colour', 'b.x', 'a.x', 'nothing.x']) {
      expect(problemsOf([step('a', { uses: [use] }), step('b')])).to.have.length(1);
    }
  });
});
