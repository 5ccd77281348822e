import { expect } from 'chai';
import { Recent } from './recent.ts';

describe('What was used last', () => {
  it('is remembered, and no more than so much of it', () => {
    const recent = new Recent<string, number>(3);
    for (const [at, key] of ['a', 'b', 'c'].entries()) recent.set(key, at);
    expect(recent.get('a')).to.equal(0);
    recent.set('b', 10);
    recent.set('d', 3);
    expect([recent.get('a'), recent.get('b'), recent.get('c'), recent.get('d')]).to.deep.equal([0, 10, undefined, 3]);
    for (let at = 0; at < 10_000; at++) recent.set(`${at}`, at);
    expect(recent.size).to.equal(3);
    recent.delete('9999');
    expect([recent.get('9999'), recent.get('9998'), recent.size]).to.deep.equal([undefined, 9998, 2]);
  });
});
