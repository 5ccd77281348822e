import { expect } from 'chai';
import { ended, held, INTENT, newRun } from '../../testing/dynamo-runs.ts';
import { type Item, N, S } from './keys.ts';
import { encode, encodedItem, newRunItem, newRunOf, recordOf } from './record.ts';

const run = { ...newRun('o-1'), traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
const { id } = run;
const itemOf = (state = INTENT): Item => ({
  ...newRunItem(run),
  ...encodedItem(encode(id, state)),
  version: N(7),
});

describe("A run's item", () => {
  it('gives back what was written', () => {
    expect(newRunOf(itemOf())).to.deep.equal(run);
    for (const state of [INTENT, held(), ended(2)])
      expect(recordOf(itemOf(state))).to.deep.equal({ state, version: '7' });
    expect(recordOf({ ...newRunItem(newRun('o-2')), version: N(1) })).to.deep.equal({ state: undefined, version: '1' });
  });

  it('is damaged when its state, its checksum or its format was edited or taken away', () => {
    const item = itemOf();
    const other = encode(id, held());
    const { state: _state, ...stateless } = item;
    const { sum: _sum, ...sumless } = item;
    const { format: _format, ...formless } = item;
    const edits = [
      { ...item, state: S(other.state) },
      { ...item, sum: S(other.sum) },
      { ...item, format: N(0) },
    ];
    for (const edited of [...edits, stateless, sumless, formless])
      expect(recordOf(edited), JSON.stringify(edited)).to.have.property('damaged');
  });

  it('is damaged when its state was copied from another run', () => {
    expect(
      recordOf({ ...newRunItem(newRun('o-2')), ...encodedItem(encode(id, INTENT)), version: N(1) }),
    ).to.have.property('damaged');
  });

  it('of a newer operator is not touched', () => {
    expect(recordOf({ ...itemOf(), format: N(2) })).to.deep.equal({
      newer: 'the journal has format 2, this operator reads 1: run the newer operator again',
      version: '7',
    });
  });

  it('that is of something else is not taken for a run', () => {
    expect(() => newRunOf({ pk: S('orders'), sk: S('run') })).to.throw(TypeError, /not, or not only, this journal's/);
  });
});
