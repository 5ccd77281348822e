import { expect } from 'chai';
import { checkTag, TagError, tagFrom } from './tag.ts';

describe('the tag of images', () => {
  it('names the commit', () => {
    expect(tagFrom('0.1.0', 'v1.2.0-3-gabc1234', 'deadbeef')).to.equal('0.1.0-v1.2.0-3-gabc1234');
  });

  it('changes with the contents of a working tree that differs from its commit', () => {
    expect(tagFrom('0.1.0', 'abc1234-dirty', 'deadbeef')).to.equal('0.1.0-abc1234-deadbeef');
  });

  it('names the contents where there is no repository', () => {
    expect(tagFrom('0.1.0', undefined, 'deadbeef')).to.equal('0.1.0-deadbeef');
  });

  it('takes a Git tag with a slash for what a registry takes', () => {
    expect(tagFrom('0.1.0', 'release/7', 'deadbeef')).to.equal('0.1.0-release-7');
  });

  it('is never latest, nor what a registry refuses', () => {
    for (const tag of ['latest', '', '.1', 'a b', 'x'.repeat(129)]) expect(() => checkTag(tag), tag).to.throw(TagError);
    expect(checkTag('1.4.0')).to.equal('1.4.0');
  });
});
