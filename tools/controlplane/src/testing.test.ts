import { expect } from 'chai';
import type { ControlPlane } from './index.ts';
import { sharedControlPlane, uniqueNamespace } from './testing.ts';

describe('the shared control plane', () => {
  let plane: ControlPlane;

  before(async function () {
    this.timeout(60_000);
    plane = await sharedControlPlane();
  });

  it('is one for all who ask', async () => {
    const [one, two] = await Promise.all([sharedControlPlane(), sharedControlPlane()]);
    expect(one).to.equal(plane);
    expect(two).to.equal(plane);
  });

  it('gives each test a namespace of its own, named after it', async () => {
    const [one, two] = await Promise.all([uniqueNamespace(plane, 'orders'), uniqueNamespace(plane, 'orders')]);
    expect(one).to.match(/^orders-[0-9a-f]{10}$/);
    expect(two).to.not.equal(one);
    expect((await plane.request(`/api/v1/namespaces/${one}`)).status).to.equal(200);
  });

  it('says what the API server says against a name', async () => {
    const error = await uniqueNamespace(plane, 'Not_A_Name').catch((reason: Error) => reason);
    expect((error as Error).message)
      .to.include('422')
      .and.include('RFC 1123');
  });
});
