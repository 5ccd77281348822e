import { createServer } from 'node:net';
import { expect } from 'chai';
import { freePort, isFree } from './ports.ts';

describe('ports', () => {
  it('are free, and outside the range of outgoing connections', async () => {
    const port = await freePort();
    expect(port).to.be.within(20_000, 32_000);
    expect(await isFree(port)).to.equal(true);
  });

  it('are not free while something listens', async () => {
    const port = await freePort();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    expect(await isFree(port)).to.equal(false);
    await new Promise((resolve) => server.close(resolve));
    expect(await isFree(port)).to.equal(true);
  });
});
