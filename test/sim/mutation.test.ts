import { expect } from 'chai';
import { judge, SEEDS, type Verdict, verdictLine } from './gate.ts';
import { MUTATIONS, type Mutation } from './mutations.ts';

/** Rules of docs/concepts/sagas.md, "The rules, by number", and promises of the participant contract that the list must have a mutation for. */
const RULES = [
  '1 identity',
  '2b',
  '2c',
  '2d',
  '2e',
  '3 take-over',
  '4 reverse order',
  '4 covers what is unknown',
  '4 forward only',
  '5 answers',
  '6 epochs',
  '7 holds',
  '7 stale decisions',
  '7 a skipped action stays registered',
  '8 cancel',
  '9 time',
  '9 monotonic time',
  '10 one writer',
  '10 one writer, sqlite: incarnation',
  '10 one writer, dynamodb: version',
  '10 one writer, dynamodb: claim',
  '10 one writer, dynamodb: lives',
  '10 a lost life stops its work',
  '1 identity, sqlite: remembered orders',
  '1 identity, dynamodb: remembered orders',
  '2d worker journals: mail',
  '2d worker journals: mail, sqlite',
  '2d worker journals: mail, dynamodb',
  '3 take-over, sqlite',
  '3 take-over, dynamodb',
  '3 take-over, worker journals: doubt is passed on',
  '9 timers survive a restart',
  'worker journals: announcements, sqlite',
  'worker journals: announcements, dynamodb',
  'worker journals: exception records, dynamodb',
  'worker journals: no open run without a driver, dynamodb',
  'worker journals: announcements',
  'worker journals: no open run without a driver',
  'worker journals: exception records',
  'participants: repeat',
  'participants: same transaction',
  'participants: fingerprint',
  'participants: empty compensation',
  'participants: no hanging action',
  'participants: expiry',
];

describe('the mutation gate', () => {
  it('has a mutation for each rule and promise', () => {
    const missing = RULES.filter((rule) => !MUTATIONS.some((mutation) => mutation.rule.includes(rule)));
    expect(missing).to.deep.equal([]);
  });

  const verdicts = new Map<Mutation, Promise<Verdict>>();
  const begin = (mutation: Mutation | undefined): void => {
    if (mutation !== undefined && !verdicts.has(mutation)) verdicts.set(mutation, judge(mutation));
  };

  for (const [n, mutation] of MUTATIONS.entries()) {
    it(`notices that ${mutation.name} (${mutation.rule})`, async function () {
      this.timeout('20m');
      // Each is a process of its own: the next one has the other core.
      begin(mutation);
      begin(MUTATIONS[n + 1]);
      const verdict = (await verdicts.get(mutation)) as Verdict;
      expect(verdict.error, mutation.name).to.equal(undefined);
      expect(verdict.seed, `none of ${SEEDS} seeds noticed: ${mutation.name}`).to.be.a('number');
      console.log(`      ${verdictLine(verdict)}`);
    });
  }
});
