import { expect } from 'chai';
import { Callers } from './callers.ts';

describe('Who sends events over HTTP', () => {
  it('may send those of the namespaces that are said with them, or of all', () => {
    const callers = new Callers(['sa:shop:order@shop', 'sa:both:order@a', 'sa:both:order@b', 'sa:all:order']);
    expect(callers.subjects).to.deep.equal(['sa:shop:order', 'sa:both:order', 'sa:all:order']);
    const mayWhere = (subject: string) => ['shop', 'a', 'b'].filter((namespace) => callers.maySend(subject, namespace));
    expect(mayWhere('sa:shop:order')).to.deep.equal(['shop']);
    expect(mayWhere('sa:both:order')).to.deep.equal(['a', 'b']);
    expect(mayWhere('sa:all:order')).to.deep.equal(['shop', 'a', 'b']);
    expect(mayWhere('sa:stranger:order')).to.deep.equal([]);
  });

  it('may send all when that is said too, in whatever order', () => {
    for (const said of [
      ['s@a', 's'],
      ['s', 's@a'],
    ])
      expect(new Callers(said).maySend('s', 'b')).to.equal(true);
  });

  it('is said in a form that cannot be mistaken', () => {
    for (const wrong of ['', '@shop', 's@', 's@Shop', 's@a@b', 's t'])
      expect(() => new Callers([wrong]), wrong).to.throw(RangeError, wrong);
  });
});
