import { expect } from 'chai';
import { conditionOf, eventually, TestCluster } from '../testing/cluster.ts';
import { participantTokens } from './audiences.ts';
import { claimsOf } from './tokens.ts';

const jwt = (claims: object): string => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;

describe('The audiences of tokens for participants', () => {
  const { signal } = new AbortController();
  const expirationTimestamp = '2026-11-22T12:00:00Z';
  const issuing = (own: unknown) =>
    participantTokens(async (audiences) => ({
      token: jwt({ aud: audiences.length === 0 ? own : audiences }),
      expirationTimestamp,
    }));
  const messageOf = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => 'a token',
      (error) => String(error),
    );

  it('are anybody but the API server', async () => {
    for (const own of ['https://issuer', ['other', 'https://issuer']]) {
      expect(claimsOf((await issuing(own)('inventory', 600, signal)).token)?.aud).to.deep.equal(['inventory']);
      expect(await messageOf(issuing(own)('https://issuer', 600, signal))).to.contain(
        'give the Participant an audience',
      );
    }
  });

  it('are none while the API server does not say its own', async () => {
    expect(await messageOf(issuing(undefined)('inventory', 600, signal))).to.contain('not known');
  });

  it('of a Participant that names the API server: it is sent nothing, and the run says why', async function () {
    this.timeout(180_000);
    const cluster = await TestCluster.create();
    try {
      const account = { namespace: cluster.system, name: 'mercato-caller' };
      const { token } = await cluster.client.createToken(account, { audiences: [], expirationSeconds: 600 });
      const [audience = ''] = claimsOf(token)?.aud ?? [];
      expect(audience).not.to.equal('');
      await cluster.applySaga();
      await cluster.applyParticipant({ audience });
      await cluster.startOperator();
      await cluster.applyRun('greedy');
      await cluster.until('greedy', ({ status }) => status?.steps?.[0]?.lastError?.reason === 'NoToken');
      const run = await cluster.run('greedy');
      expect(run?.status?.steps?.[0]?.lastError?.message).to.contain('is an audience of the API server');
      expect(cluster.shop.calls).to.deep.equal([]);
      await cluster.applyParticipant({ audience: 'shop' });
      cluster.allWell();
      await eventually(
        async () => conditionOf(await cluster.run('greedy'), 'Succeeded')?.status === 'True',
        () => 'it goes on with an audience of its own',
      );
    } finally {
      await cluster.close();
    }
  });
});
