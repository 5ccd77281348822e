import { kinds } from '@mercato/operator/api/index.ts';
import { expect } from 'chai';
import fc from 'fast-check';
import { CASES, type Case, said } from './health.cases.ts';
import { ACK_KINDS, healthChecks, healthScript } from './health.ts';
import { judgeOf } from './testing.ts';

function judges(script: keyof typeof CASES): void {
  const judge = judgeOf(healthScript(script));
  for (const { it: behaviour, object, is, says } of CASES[script] as readonly Case[]) {
    it(behaviour, async () => {
      const health = await judge(object);
      expect(health.status).to.equal(is);
      if (says !== undefined) expect(health.message).to.include(says);
    });
  }
}

describe('health of our kinds in Argo CD', () => {
  const checks = healthChecks(kinds);

  for (const { kind } of kinds) {
    const judge = judgeOf(checks.get(`mercato.dev_${kind}`) ?? '');

    it(`${kind}: is Progressing before its controller has seen it, and after each change of spec`, async () => {
      expect((await judge({ metadata: { name: 'x', generation: 1 }, spec: {} })).status).to.equal('Progressing');
      const types = [
        'Ready',
        'Resolved',
        'Available',
        'Accepted',
        'Enforced',
        'Compliant',
        'Succeeded',
        'Applied',
        'Received',
      ];
      const conditions = types.map((type) => said(`${type}=True/Fine: as asked`, 1));
      const before = { observedGeneration: 1, phase: 'Ready', conditions };
      const changed = await judge({ metadata: { name: 'x', generation: 2 }, spec: {}, status: before });
      expect(changed.status).to.equal('Progressing');
    });

    it(`${kind}: answers with a status that Argo CD knows, whatever a status says`, async () => {
      const types = [
        'Ready',
        'Paused',
        'Resolved',
        'Available',
        'Accepted',
        'Enforced',
        'Compliant',
        'Held',
        'Blocked',
        'Applied',
      ];
      const condition = fc.record(
        {
          type: fc.constantFrom(...types, 'StockLow', 'Succeeded'),
          status: fc.constantFrom('True', 'False', 'Unknown'),
          reason: fc.constantFrom('ParticipantNotFound', 'Invalid', 'Other'),
          message: fc.string(),
          observedGeneration: fc.constantFrom(1, 2),
        },
        { requiredKeys: ['type', 'status'] },
      );
      const phases = [
        'Pending',
        'Running',
        'Held',
        'Aborted',
        'Succeeded',
        'Applied',
        'Refused',
        'Proposed',
        'Approved',
        'Received',
      ];
      const status = fc.record(
        {
          observedGeneration: fc.constantFrom(1, 2),
          phase: fc.constantFrom(...phases),
          conditions: fc.array(condition, { maxLength: 4 }),
          nextAction: fc.string(),
        },
        { requiredKeys: [] },
      );
      await fc.assert(
        fc.asyncProperty(status, async (any) => {
          const health = await judge({ metadata: { name: 'x', generation: 2 }, spec: {}, status: any });
          expect(['Healthy', 'Progressing', 'Degraded', 'Suspended']).to.include(health.status);
        }),
        { numRuns: 40 },
      );
    });
  }

  it('there is a check for every kind, for Application, and for what AWS makes for us', () => {
    const wanted = [
      'argoproj.io_Application',
      ...kinds.map(({ kind }) => `mercato.dev_${kind}`),
      ...ACK_KINDS.map(({ group, kind }) => `${group}_${kind}`),
    ];
    expect([...checks.keys()]).to.have.members(wanted);
  });

  describe('Participant', () => {
    judges('participant');
  });

  describe('OrderSaga', () => {
    judges('ordersaga');
  });

  describe('OrderSagaRun', () => {
    judges('ordersagarun');
  });

  describe('WarehouseInventory', () => {
    judges('warehouseinventory');
  });

  describe('RestockOrder', () => {
    judges('restockorder');
  });

  describe('StockAdjustment', () => {
    judges('stockadjustment');
  });

  describe('PciBoundary', () => {
    judges('pciboundary');
  });

  describe('what AWS makes', () => {
    judges('ack');
  });
});

describe('health of a child Application', () => {
  judges('application');
});
