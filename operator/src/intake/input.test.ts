import { expect } from 'chai';
import { orderSagaRuns } from '../journals/kubernetes/journal.ts';
import { isInvalid } from '../kube/errors.ts';
import { TestCluster } from '../testing/cluster.ts';
import { checkedInput } from './input.ts';
import { IntakeRefused } from './intake.ts';

const line = { sku: 'MUG', quantity: 2, unitPrice: 895 };
const good = {
  customer: 'ada',
  currency: 'GBP',
  lines: [line],
  paymentToken: 'tok_visa',
  shipTo: { name: 'Ada', country: 'GB' },
};
const { paymentToken: _, ...noToken } = good;

describe("An order's input", function () {
  this.timeout(180_000);
  let cluster: TestCluster;

  before(async () => {
    cluster = await TestCluster.create();
  });
  after(() => cluster.close());

  /** Would the API server take a run of it? */
  const isValid = async (input: unknown): Promise<boolean> => {
    const object = cluster.runOf('tried', { input, mode: 'Execute' });
    const place = { namespace: cluster.namespace, name: object.metadata.name };
    try {
      await cluster.client.create(orderSagaRuns, { ...object, metadata: place } as never, { dryRun: true });
      return true;
    } catch (error) {
      if (isInvalid(error)) return false;
      throw error;
    }
  };
  const refusal = (input: unknown): IntakeRefused | undefined => {
    try {
      checkedInput(input);
      return undefined;
    } catch (error) {
      expect(error).to.be.instanceOf(IntakeRefused);
      return error as IntakeRefused;
    }
  };

  const many = (count: number, sku: (index: number) => string) =>
    Array.from({ length: count }, (__, index) => ({ ...line, sku: sku(index) }));
  const cases: [string, unknown][] = [
    ['an order', good],
    ['no token', noToken],
    ['a card number', { ...good, paymentToken: '4111 1111-1111 1111' }],
    ['a token with a space', { ...good, paymentToken: 'tok visa' }],
    ['a token that is long', { ...good, paymentToken: 't'.repeat(65) }],
    ['no lines', { ...good, lines: [] }],
    ['101 lines', { ...good, lines: many(101, (index) => `S${index}`) }],
    ['100 lines', { ...good, lines: many(100, (index) => `S${index}`) }],
    ['SKUs that are too long together', { ...good, lines: many(60, () => 'S'.repeat(30)) }],
    ['a SKU with a slash', { ...good, lines: [{ ...line, sku: 'A/B' }] }],
    ['half a mug', { ...good, lines: [{ ...line, quantity: 0.5 }] }],
    ['no mug', { ...good, lines: [{ ...line, quantity: 0 }] }],
    ['a price below zero', { ...good, lines: [{ ...line, unitPrice: -1 }] }],
    [
      'a line that no number holds',
      { ...good, lines: [{ ...line, quantity: 1_000_000, unitPrice: 1_000_000_000_000 }] },
    ],
    [
      'a total that no number holds',
      { ...good, lines: Array(2).fill({ ...line, quantity: 9_000, unitPrice: 1_000_000_000_000 }) },
    ],
    [
      'a total that a number just holds',
      { ...good, lines: [{ ...line, quantity: 9_007, unitPrice: 1_000_000_000_000 }] },
    ],
    ['a currency in small letters', { ...good, currency: 'gbp' }],
    ['a customer with a space', { ...good, customer: 'ada l' }],
    ['no country', { ...good, shipTo: { name: 'Ada' } }],
    ['a country in words', { ...good, shipTo: { country: 'Britain' } }],
    ['a long street', { ...good, shipTo: { country: 'GB', line1: 'x'.repeat(65) } }],
  ];
  for (const [what, input] of cases) {
    it(`${what}: is taken if the API server takes it, and else refused`, async () => {
      expect(refusal(input) === undefined).to.equal(await isValid(input));
    });
  }

  it('is kept without what the kind does not know', () => {
    const more = { ...good, gift: true, lines: [{ ...line, note: 'x' }], shipTo: { ...good.shipTo, door: 'red' } };
    expect(checkedInput(more)).to.deep.equal(good);
  });

  it('is refused without its values, one of which may be a card number', () => {
    const card = '4111111111111111';
    const strayed = [
      { ...good, paymentToken: card },
      { ...good, customer: `${card}${'x'.repeat(64)}` },
      { ...good, currency: card },
      { ...good, lines: [{ ...line, sku: `${card}/` }] },
      { ...good, shipTo: { country: card } },
    ];
    for (const input of strayed) expect(refusal(input)?.message).to.match(/^data/).and.not.to.contain('4111');
  });
});
