import { expect } from 'chai';
import type { SeenPod } from './resources.ts';
import { looksSame } from './watches.ts';

describe('Two states of an object as a cache keeps them', () => {
  const pod = (resourceVersion: string, phase = 'Running', labels = { app: 'payment' }): SeenPod => ({
    metadata: { name: 'p', namespace: 'n', uid: 'u', resourceVersion, labels },
    spec: { containers: [{ name: 'c' }] },
    status: { phase },
  });

  it('look the same when they differ in their version only', () => {
    expect(looksSame(pod('1'), pod('2'))).to.equal(true);
  });

  it('differ when a label or anything that a rule reads does', () => {
    expect(looksSame(pod('1'), pod('2', 'Failed'))).to.equal(false);
    expect(looksSame(pod('1'), pod('2', 'Running', { app: 'vault' }))).to.equal(false);
  });
});
