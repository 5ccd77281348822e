import { expect } from 'chai';
import { CHECKOUT, revision as revisionWith } from '../saga/rehearsal.ts';
import type { Revision } from '../saga/types.ts';
import { type Declared, Definitions } from './definitions.ts';

/** Nothing is declared. */
const empty: Declared<never> = { get: () => undefined, values: () => [].values(), onChange: () => () => undefined };

describe('The definitions that a worker knows', () => {
  it('are no more than it uses: what was not used for longest is asked of the journal again', async () => {
    const saved = new Map<string, Revision>();
    let loads = 0;
    const definitions = new Definitions({
      sagas: empty,
      participants: empty,
      journal: {
        saveRevision: async (_namespace, _saga, revision) => void saved.set(revision.hash, revision),
        loadRevision: async (_namespace, _saga, hash) => {
          loads += 1;
          return saved.get(hash);
        },
      },
      kept: 2,
    });
    const revisions = Array.from({ length: 5 }, (_, i) => ({ ...revisionWith(CHECKOUT), hash: `hash-${i}` }));
    for (const revision of revisions) await definitions.store('shop', 'checkout', revision);
    for (const { hash } of [...revisions, ...revisions.slice(3)])
      expect((await definitions.revision('shop', 'checkout', hash))?.hash).to.equal(hash);
    // The first three were forgotten; asking for them made the last two be.
    expect(loads).to.equal(5);
    expect(await definitions.revision('shop', 'checkout', 'nobody has it')).to.equal(undefined);
  });
});
