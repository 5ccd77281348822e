import { expect } from 'chai';
import type { Participant, ParticipantSpec } from '../../api/participant.ts';
import { configOf, destinationOf } from './registry.ts';

const declared = (limits: Partial<ParticipantSpec['limits']>): Participant => ({
  apiVersion: 'mercato.dev/v1alpha1',
  kind: 'Participant',
  metadata: { namespace: 'shop', name: 'inventory' },
  spec: {
    service: { name: 'inventory', port: 8080 },
    audience: 'inventory',
    commands: [{ name: 'reserve-stock', reasons: ['OutOfStock'] }],
    limits: { maxInFlight: 64, maxAnswerBytes: 65_536, ...limits },
  },
});

describe("A Participant's limits", () => {
  it('reach its adapter, a burst of one second where none is said, and no rate where none is', () => {
    expect(configOf(declared({}))).not.to.have.property('rate');
    expect(configOf(declared({ requestsPerSecond: 50 }))).to.have.deep.property('rate', { perSecond: 50, burst: 50 });
    expect(configOf(declared({ requestsPerSecond: 50, burst: 5 }))).to.have.deep.property('rate', {
      perSecond: 50,
      burst: 5,
    });
  });
});

describe('A Participant behind a queue', () => {
  it('is reached over it, under the same limits', () => {
    const { service: _, ...rest } = declared({}).spec;
    const queue = { url: 'https://sqs/1/commands', answersUrl: 'https://sqs/1/answers' };
    const participant = { ...declared({}), spec: { ...rest, queue } };
    const config = configOf(participant);
    expect(config).to.deep.include({ queue, audience: 'inventory', maxInFlight: 64 });
    expect(config).not.to.have.property('baseUrl');
    expect(destinationOf(participant)).to.equal(queue.url);
  });
});
