import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import {
  adjustmentSpec,
  boundarySpec,
  create,
  type Draft,
  draft,
  inputDraft,
  installApi,
  messageOf,
  participantSpec,
  restockSpec,
  runDraft,
  sagaDraft,
  sagaOf,
  warehouseSpec,
} from './testing.ts';

/** What the API server can know, it refuses, and says what to do: a name of the case, the object, and words of the message. */
type Case = readonly [behaviour: string, object: Draft, ...words: string[]];

const run = (spec: object) => runDraft('order-1', spec);
const order = (input: object) => run({ input: inputDraft(input) });
const line = (more: object) => order({ lines: [{ sku: 'MUG', quantity: 1, unitPrice: 895, ...more }] });
const decided = (decision: object) =>
  run({ decision: { holdId: 'h1', do: 'Retry', reason: 'it is up again', by: 'admin', ...decision } });
const warehouse = (spec: object) => draft('WarehouseInventory', 'leeds', warehouseSpec(spec));
const restock = (spec: object) => draft('RestockOrder', 'more-mugs', restockSpec(spec));
const adjustment = (spec: object) => draft('StockAdjustment', 'count-1', adjustmentSpec(spec));
const provider = (spec: object) => draft('Participant', 'inventory', participantSpec(spec));
const boundary = (spec: object) => draft('PciBoundary', 'refused', boundarySpec(spec));
const podsIn = (namespace: string) => ({ namespace, podLabels: { app: 'payment' } });
const wayIn = {
  name: 'operator',
  from: podsIn('mercato-system'),
  to: podsIn('mercato-card'),
  ports: [{ port: 8080 }],
  why: 'sagas',
};
const wayOut = (to: object, more: object = {}) =>
  boundary({
    egress: [{ name: 'acquirer', from: podsIn('mercato-card'), to, ports: [{ port: 443 }], why: 'cards', ...more }],
  });
const toBlock = (cidr: string, more: object = {}, except?: string[]) =>
  wayOut({ cidrs: [{ cidr, ...(except && { except }) }] }, more);
const metadataOut = ['169.254.0.0/16'];
const supplied = { supplier: 'potteries', reorderPoint: 10, reorderUpTo: 50 };

/** Every list at its limit. */
function fullestBoundary(): Draft {
  const many = <T>(length: number, make: (i: number) => T): T[] => Array.from({ length }, (_, i) => make(i));
  const namespaces = many(16, (i) => `${'n'.repeat(60)}-${i}`);
  const pods = (i: number) => ({
    namespace: namespaces[i % 16],
    podLabels: Object.fromEntries(many(8, (j) => [`${'k'.repeat(60)}${j}`, 'v'.repeat(63)])),
  });
  const ports = many(8, (i) => ({ port: i + 1 }));
  const why = 'w'.repeat(256);
  const cidrs = many(8, (i) => ({ cidr: `${i * 4 + 1}.0.0.0/8`, except: many(8, (j) => `${i * 4 + 1}.${j}.0.0/16`) }));
  return boundary({
    namespaces,
    ingress: many(32, (i) => ({ name: `in-${i}`, from: pods(i + 1), to: pods(i), ports, why })),
    egress: many(32, (i) => ({ name: `out-${i}`, from: pods(i), to: { cidrs }, ports, why })),
    dns: { pods: pods(0), cidrs: many(8, (i) => `10.0.0.${i}/32`) },
    apiServer: { cidrs: many(8, (i) => `10.${i}.0.0/16`), ports: [1, 2, 3, 4], pods: many(16, pods) },
    access: many(16, (i) => ({ kind: 'ServiceAccount', name: `s${i}`, namespace: 'argocd', why })),
    probes: { namespaces: many(8, (i) => `p${i}`), image: `registry/boundary@sha256:${'0'.repeat(64)}` },
  });
}

const REFUSED: Readonly<Record<string, readonly Case[]>> = {
  OrderSaga: [
    [
      'two steps of one name',
      sagaOf(['reserve'], ['reserve']),
      'spec.steps',
      'two steps have the same name, reserve: rename one',
    ],
    ['a step named input', sagaOf(['input']), 'no step may be named input', 'rename it'],
    [
      'two pivots',
      sagaOf(['a', { pivot: true }], ['b', { pivot: true }]),
      'only one step can be the pivot',
      'remove pivot',
    ],
    [
      'a compensation on a step after the pivot',
      sagaOf(['a', { pivot: true }], ['b', { compensation: 'undo' }]),
      'spec.steps',
      'never compensated',
      'remove their compensation (step b)',
    ],
    ['a compensation on the pivot', sagaOf(['a', { pivot: true, compensation: 'undo' }]), 'never compensated'],
    [
      'a uses that names no step',
      sagaOf(['a', { uses: ['nowhere.id'] }]),
      'does not stand before',
      'name an earlier step',
    ],
    [
      'a uses that names a later step',
      sagaOf(['a', { uses: ['b.id'] }], ['b']),
      'does not stand before its own (step a)',
    ],
    ['a uses that names its own step', sagaOf(['a', { uses: ['a.id'] }]), 'does not stand before'],
    [
      'a uses that names a beginning of a step’s name',
      sagaOf(['ab'], ['c', { uses: ['a.id'] }]),
      'does not stand before',
    ],
    [
      'a uses of a field that input has not',
      sagaOf(['a', { uses: ['input.card'] }]),
      'input.<field> (customer, currency',
      'uses[0]',
    ],
    ['a uses without a field', sagaOf(['a', { uses: ['lines'] }]), '<earlier step>.<output field>'],
    [
      'two uses that end in one field',
      sagaOf(['a'], ['b', { uses: ['input.total', 'a.total'] }]),
      'end in the same field',
      'remove one',
    ],
    [
      'a duration that is none',
      sagaDraft('checkout', { deadline: 'soon' }),
      'spec.deadline',
      'ms, s, m, h or d',
      '15m',
    ],
    ['a duration without a unit', sagaDraft('checkout', { deadline: '15' }), 'spec.deadline', 'ms, s, m, h or d'],
    [
      'a duration below zero',
      sagaDraft('checkout', { ttlAfterFinished: { succeeded: '-1h' } }),
      'ttlAfterFinished.succeeded',
      'whole numbers',
    ],
    ['a fraction of a duration', sagaDraft('checkout', { deadline: '1.5h' }), 'whole numbers'],
    ['a deadline of zero', sagaDraft('checkout', { deadline: '0s' }), 'spec.deadline', 'longer than zero'],
    ['a timeout that is no duration', sagaOf(['a', { timeout: 'ten' }]), 'steps[0].timeout', '250ms'],
    ['a timeout of zero', sagaOf(['a', { timeout: '0ms' }]), 'steps[0].timeout', 'longer than zero'],
    [
      'an initialInterval above maxInterval',
      sagaOf(['a', { retry: { initialInterval: '2m', maxInterval: '90s' } }]),
      'steps[0].retry',
      'raise maxInterval or lower initialInterval',
    ],
    [
      'an initialInterval above the default of maxInterval',
      sagaOf(['a', { retry: { initialInterval: '31s' } }]),
      'raise maxInterval',
    ],
    ['no attempt', sagaOf(['a', { retry: { maxAttempts: 0 } }]), 'retry.maxAttempts', 'greater than or equal to 1'],
    [
      'waits that shrink',
      sagaOf(['a', { retry: { backoffPercent: 50 } }]),
      'retry.backoffPercent',
      'greater than or equal to 100',
    ],
    ['no step', sagaDraft('checkout', { steps: [] }), 'spec.steps', 'at least 1 items'],
    [
      'more than 20 steps',
      sagaOf(...Array.from({ length: 21 }, (_, i) => [`s${i}`] as const)),
      'spec.steps',
      'at most 20 items',
    ],
    ['an upper-case name of a step', sagaOf(['Reserve']), 'steps[0].name', 'lower-case DNS label'],
    ['a name of more than 40 characters', sagaDraft('a'.repeat(41)), 'at most 40 characters'],
    ['a name with dots', sagaDraft('check.out'), 'without dots'],
    [
      'an unknown onStepFailure',
      sagaDraft('checkout', { onStepFailure: 'Ignore' }),
      'supported values: "Compensate", "Hold"',
    ],
    [
      'a pause without a reason',
      sagaDraft('checkout', { pause: { until: '2026-12-24T00:00:00Z' } }),
      'spec.pause.reason',
      'Required value',
    ],
    [
      'a pause until no moment',
      sagaDraft('checkout', { pause: { until: 'Christmas', reason: 'x' } }),
      'spec.pause.until',
      'date-time',
    ],
  ],
  OrderSagaRun: [
    [
      'a name that does not fit',
      { ...run({}), metadata: { name: 'order-1' } },
      'must be <saga>-<orderId>',
      'rename it, or correct sagaRef.name or orderId',
    ],
    ['a run without its order', runDraft('o-1', { input: undefined }), 'a run needs its order', 'set mode to View'],
    ['an upper-case order id', runDraft('A', { orderId: 'A' }), 'spec.orderId', 'lower-case DNS label'],
    ['an order id of more than 40 characters', runDraft('o'.repeat(41)), 'spec.orderId', 'may not be more than 40'],
    ['a negative quantity', line({ quantity: -6 }), 'lines[0].quantity', 'greater than or equal to 1'],
    ['a quantity of zero', line({ quantity: 0 }), 'lines[0].quantity', 'greater than or equal to 1'],
    ['a fraction of a quantity', line({ quantity: 1.5 }), 'lines[0].quantity', 'integer'],
    ['a negative price', line({ unitPrice: -1 }), 'lines[0].unitPrice', 'greater than or equal to 0'],
    ['a price with decimals', line({ unitPrice: 8.95 }), 'lines[0].unitPrice', 'integer'],
    [
      'a line whose total is not exact',
      line({ quantity: 1_000_000, unitPrice: 1_000_000_000_000 }),
      'of a line exceeds 2^53-1',
      'split the order',
    ],
    [
      'a total that is not exact',
      order({ lines: ['A', 'B'].map((sku) => ({ sku, quantity: 9000, unitPrice: 1_000_000_000_000 })) }),
      'the total of the order exceeds 2^53-1',
      'split the order',
    ],
    ['a SKU that is none', line({ sku: '-1' }), 'spec.input.lines', 'a SKU starts with a letter or digit'],
    ['an order without lines', order({ lines: [] }), 'spec.input.lines', 'at least 1 items'],
    [
      'more than 100 lines',
      order({ lines: Array.from({ length: 101 }, (_, i) => ({ sku: `S${i}`, quantity: 1, unitPrice: 1 })) }),
      'at most 100',
    ],
    [
      'SKUs that are too long together',
      order({
        lines: Array.from({ length: 60 }, (_, i) => ({ sku: `S${i}`.padEnd(32, 'x'), quantity: 1, unitPrice: 1 })),
      }),
      'the SKUs of an order may have 1600 characters together',
      'split the order',
    ],
    ['a currency that is none', order({ currency: 'gbp' }), 'spec.input.currency', 'ISO 4217'],
    ['a country that is none', order({ shipTo: { country: 'gb' } }), 'shipTo.country', 'ISO 3166-1 alpha-2'],
    ['a customer with spaces', order({ customer: 'Ada Byron' }), 'spec.input.customer', 'letters, digits and'],
    ['a token with spaces', order({ paymentToken: 'tok visa' }), 'spec.input.paymentToken', 'use letters, digits'],
    ['a decision without a reason', decided({ reason: '   ' }), 'decision.reason', 'kept on record'],
    ['an unknown decision', decided({ do: 'Ignore' }), 'supported values: "Retry", "Skip", "Compensate", "Abort"'],
    [
      'outputs with another decision than Skip',
      decided({ outputs: { id: 'x' } }),
      'decision.outputs',
      'only Skip takes outputs',
    ],
  ],
  Participant: [
    ['no address', provider({ url: undefined }), 'exactly one of service, url and queue'],
    ['two addresses', provider({ service: { name: 'inventory' } }), 'exactly one of service, url and queue'],
    ['a URL that is none', provider({ url: 'inventory:8080' }), 'spec.url', 'http:// or https:// URL'],
    ['a URL with a password', provider({ url: 'http://user:secret@inventory' }), 'without user, query or fragment'],
    ['a base path that ends in a slash', provider({ basePath: '/v1/' }), 'spec.basePath', 'does not end in one'],
    [
      'two commands of one name',
      provider({ commands: [{ name: 'a' }, { name: 'a' }] }),
      'spec.commands[1]',
      'Duplicate value',
    ],
    [
      'a reason that is not CamelCase',
      provider({ commands: [{ name: 'a', reasons: ['out_of_stock'] }] }),
      'reasons[0]',
      'CamelCase',
    ],
    [
      'more in flight than it may be',
      provider({ limits: { maxInFlight: 0 } }),
      'limits.maxInFlight',
      'greater than or equal to 1',
    ],
    [
      'a rate of nothing',
      provider({ limits: { requestsPerSecond: 0 } }),
      'limits.requestsPerSecond',
      'greater than or equal to 1',
    ],
    ['a burst without a rate', provider({ limits: { burst: 5 } }), 'limits.burst', 'say requestsPerSecond'],
    [
      'a batch over a queue',
      provider({ url: undefined, queue: { url: 'https://q/a', answersUrl: 'https://q/b' }, batch: {} }),
      'spec.batch',
      'remove batch',
    ],
    ['no audience', provider({ audience: undefined }), 'spec.audience', 'Required value'],
  ],
  WarehouseInventory: [
    [
      'an order-up-to level below the reorder point',
      warehouse({ policy: { ...supplied, reorderUpTo: 5 } }),
      'spec.policy',
      'above reorderPoint',
    ],
    ['reordering from nobody', warehouse({ policy: { reorderPoint: 1, reorderUpTo: 5 } }), 'name the supplier'],
    [
      'an override whose levels do not fit the policy’s',
      warehouse({ policy: supplied, overrides: [{ sku: 'MUG', reorderPoint: 60 }] }),
      'spec.overrides',
      'not above its reorderPoint',
    ],
    [
      'an override that orders from nobody',
      warehouse({ overrides: [{ sku: 'MUG', reorderUpTo: 60 }] }),
      'neither it nor the policy names a supplier',
    ],
    [
      'two overrides of one SKU',
      warehouse({ overrides: [{ sku: 'MUG' }, { sku: 'MUG' }] }),
      'spec.overrides[1]',
      'Duplicate value',
    ],
    [
      'a negative safety stock',
      warehouse({ policy: { safetyStock: -1 } }),
      'policy.safetyStock',
      'greater than or equal to 0',
    ],
    [
      'a lead time that is no duration',
      warehouse({ policy: { leadTime: 'a week' } }),
      'policy.leadTime',
      'ms, s, m, h or d',
    ],
    ['half a place', warehouse({ location: { country: 'GB', latitudeMicro: 1 } }), 'spec.location', 'or neither'],
    [
      'a latitude in degrees with decimals',
      warehouse({ location: { country: 'GB', latitudeMicro: 53.8, longitudeMicro: 1 } }),
      'integer',
    ],
    ['a name with dots', draft('WarehouseInventory', 'leeds.north', warehouseSpec()), 'without dots'],
  ],
  RestockOrder: [
    [
      'two lines of one SKU',
      restock({ lines: ['A', 'A'].map((sku) => ({ sku, quantity: 1 })) }),
      'spec.lines',
      'add their quantities up',
    ],
    [
      'a negative quantity',
      restock({ lines: [{ sku: 'A', quantity: -1 }] }),
      'lines[0].quantity',
      'greater than or equal to 1',
    ],
    ['no line', restock({ lines: [] }), 'spec.lines', 'at least 1 items'],
    [
      'a rejection without a reason',
      restock({ approval: { decision: 'Reject', by: 'admin' } }),
      'approval.reason',
      'say why',
    ],
    ['a lead time that is no duration', restock({ leadTime: '3 days' }), 'spec.leadTime', 'ms, s, m, h or d'],
  ],
  StockAdjustment: [
    ['a negative quantity', adjustment({ quantity: -1 }), 'spec.quantity', 'greater than or equal to 0'],
    ['a loss of nothing', adjustment({ type: 'Lost', quantity: 0 }), 'spec.quantity', 'only a count can be 0'],
    [
      'an unknown type',
      adjustment({ type: 'Stolen' }),
      'supported values: "Counted", "Received", "Damaged", "Lost", "Returned"',
    ],
    ['no adjustmentId', adjustment({ adjustmentId: undefined }), 'spec.adjustmentId', 'Required value'],
    [
      'an adjustmentId with spaces',
      adjustment({ adjustmentId: 'my count' }),
      'spec.adjustmentId',
      'starts with a letter or digit',
    ],
    ['no reason', adjustment({ reason: ' ' }), 'spec.reason', 'kept on record'],
  ],
  PciBoundary: [
    ['no card namespace', boundary({ namespaces: [] }), 'spec.namespaces', 'at least 1 items'],
    ['a card namespace twice', boundary({ namespaces: ['a', 'a'] }), 'spec.namespaces', 'named twice'],
    ['a name with dots', draft('PciBoundary', 'card.eu', boundarySpec()), 'without dots'],
    [
      'a caller by its namespace alone',
      boundary({ ingress: [{ ...wayIn, from: { namespace: 'mercato-system', podLabels: {} } }] }),
      'podLabels',
      'at least 1 properties',
    ],
    [
      'a way in to another namespace',
      boundary({ ingress: [{ ...wayIn, to: podsIn('mercato-shop') }] }),
      'spec.ingress',
      'no card namespace',
    ],
    ['a way in on every port', boundary({ ingress: [{ ...wayIn, ports: [] }] }), 'ports', 'at least 1 items'],
    ['a way without a reason', boundary({ ingress: [{ ...wayIn, why: ' ' }] }), 'why', 'say why this way is needed'],
    ['two rules of one name', boundary({ ingress: [wayIn, wayIn] }), 'spec.ingress[1]', 'Duplicate value'],
    [
      'a label that is none',
      boundary({ ingress: [{ ...wayIn, from: { namespace: 'a', podLabels: { 'a b': 'c' } } }] }),
      'podLabels',
      'a label key is',
    ],
    [
      'a label value that is none',
      boundary({ ingress: [{ ...wayIn, from: { namespace: 'a', podLabels: { a: 'b c' } } }] }),
      'podLabels',
      'a label value has',
    ],
    [
      'a way out of another namespace',
      boundary({ egress: [{ ...wayIn, from: podsIn('mercato-shop'), to: { pods: podsIn('mercato-simulators') } }] }),
      'spec.egress',
      'no card namespace',
    ],
    ['a way out to nobody', wayOut({}), 'egress[0].to', 'exactly one of pods and cidrs'],
    [
      'a way out to pods and addresses at once',
      wayOut({ pods: podsIn('a'), cidrs: [{ cidr: '203.0.113.0/24' }] }),
      'exactly one of pods and cidrs',
    ],
    ['a CIDR that is none', toBlock('203.0.113.0'), 'cidrs[0].cidr', 'host bits are zero'],
    ['a CIDR with host bits', toBlock('203.0.113.7/24'), 'cidrs[0].cidr', 'host bits are zero'],
    [
      'a mapped CIDR, which hides what it is',
      toBlock('::ffff:169.254.169.254/128'),
      'cidrs[0].cidr',
      'host bits are zero',
    ],
    ['instance metadata', toBlock('169.254.169.254/32'), 'egress[0].to', 'add 169.254.0.0/16 to except'],
    ['instance metadata over IPv6', toBlock('fd00:ec2::254/128'), 'egress[0].to', 'add fd00:ec2::/32 to except'],
    ['a range around metadata', toBlock('169.254.0.0/16'), 'instance metadata would be reachable'],
    ['a part of it', toBlock('169.254.169.0/24'), 'instance metadata would be reachable'],
    [
      'the whole internet with its metadata',
      toBlock('0.0.0.0/0', { wide: true }),
      'instance metadata would be reachable',
    ],
    ['the whole IPv6 internet with its metadata', toBlock('::/0', { wide: true }), 'fd00:ec2::/32'],
    [
      'the whole internet with one address of the metadata excepted',
      toBlock('0.0.0.0/0', { wide: true }, ['169.254.169.254/32']),
      'instance metadata would be reachable',
    ],
    ['the whole internet, unsaid', toBlock('0.0.0.0/0', {}, metadataOut), 'egress[0].to', 'say wide: true and why'],
    ['half of it, unsaid', toBlock('128.0.0.0/1', {}, metadataOut), 'say wide: true and why'],
    ['the Pod Identity agent on another port', toBlock('169.254.170.23/32'), 'as 169.254.170.23/32 on port 80'],
    ['an exception outside its CIDR', toBlock('10.0.0.0/8', {}, ['192.168.0.0/24']), 'not within cidr'],
    ['an exception of all', toBlock('10.0.0.0/8', {}, ['10.0.0.0/8']), 'remove the whole block'],
    ['wide pods', wayOut({ pods: podsIn('a') }, { wide: true }), 'egress[0].wide', 'remove wide'],
    ['no DNS server', boundary({ dns: {} }), 'spec.dns', 'say pods or cidrs or both'],
    ['a subnet of DNS servers', boundary({ dns: { cidrs: ['10.0.0.0/24'] } }), 'dns.cidrs[0]', 'one address'],
    ['metadata as DNS', boundary({ dns: { cidrs: ['169.254.169.254/32'] } }), 'dns.cidrs[0]', 'gives out credentials'],
    [
      'an API server anywhere',
      boundary({ apiServer: { cidrs: ['10.0.0.0/8'], pods: [podsIn('mercato-card')] } }),
      'apiServer.cidrs[0]',
      '/16',
    ],
    [
      'an API server among the metadata',
      boundary({ apiServer: { cidrs: ['169.254.0.0/16'], pods: [podsIn('mercato-card')] } }),
      'apiServer.cidrs[0]',
      'link-local',
    ],
    [
      'an API server for others',
      boundary({ apiServer: { cidrs: ['10.0.0.0/24'], pods: [podsIn('mercato-shop')] } }),
      'spec.apiServer',
      'no card namespace',
    ],
    [
      'a service account of no namespace',
      boundary({ access: [{ kind: 'ServiceAccount', name: 'a', why: 'b' }] }),
      'access[0]',
      'give the namespace',
    ],
    [
      'probes that start inside',
      boundary({ probes: { namespaces: ['mercato-card'] } }),
      'spec.probes',
      'outside the card',
    ],
    ['probes without a pause', boundary({ probes: { interval: '1s' } }), 'probes.interval', '30s'],
  ],
};

const PANS = [
  '4111111111111111',
  '4111 1111 1111 1111',
  '4111-1111-1111-1111',
  ' 378282246310005 ',
  '6304000000000',
  '123456789012',
  '1234567890123456789',
];

describe('what the API server refuses', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let namespace: string;

  before(async () => {
    plane = await sharedControlPlane();
    await installApi(plane);
    namespace = await uniqueNamespace(plane, 'refusals');
  });

  for (const [kind, cases] of Object.entries(REFUSED)) {
    describe(kind, () => {
      for (const [behaviour, object, ...words] of cases) {
        it(`refuses ${behaviour}`, async () => {
          const answer = await create(plane.request, namespace, object, { dryRun: true });
          expect(answer.status, messageOf(answer)).to.equal(422);
          for (const word of words) expect(messageOf(answer)).to.include(word);
        });
      }
    });
  }

  it('refuses card numbers as payment tokens, and does not repeat them', async () => {
    for (const pan of PANS) {
      const answer = await create(plane.request, namespace, order({ paymentToken: pan }), { dryRun: true });
      expect(answer.status, pan).to.equal(422);
      expect(messageOf(answer)).to.include('spec.input.paymentToken').and.include('send the card to the vault');
      expect(JSON.stringify(answer.body)).not.to.include(pan.trim());
    }
  });

  it('takes tokens that are no card numbers', async () => {
    for (const token of ['tok_visa', '12345678901', '12345678901234567890', '7f3e8c1a-90bd-4c57-8f6e-123456789012']) {
      const answer = await create(plane.request, namespace, order({ paymentToken: token }), { dryRun: true });
      expect(answer.status, messageOf(answer)).to.equal(201);
    }
  });

  it('takes what is just within the limits', async () => {
    const lines = Array.from({ length: 100 }, (_, i) => ({ sku: `S${i}`, quantity: 1_000_000, unitPrice: 90_071_992 }));
    const steps = Array.from({ length: 20 }, (_, i) => [
      `s${i}`,
      {
        uses: Array.from({ length: i }, (_, j) => `s${j}.out${j}`),
        ...(i < 19 && { compensation: 'undo' }),
        pivot: i === 19,
      },
    ]) as (readonly [string, object])[];
    const overrides = Array.from({ length: 500 }, (_, i) => ({ sku: `S${i}`, reorderUpTo: 11, leadTime: '1d12h' }));
    for (const object of [
      order({ lines }),
      sagaOf(...steps),
      warehouse({ policy: supplied, overrides }),
      adjustment({ quantity: 0 }),
      toBlock('169.254.170.23/32', { ports: [{ port: 80 }] }),
      toBlock('fd00:ec2::23/128', { ports: [{ port: 80 }] }),
      toBlock('0.0.0.0/0', { wide: true }, [...metadataOut, '10.0.0.0/8']),
      toBlock('::/0', { wide: true }, ['fd00::/8']),
      boundary({ dns: { cidrs: ['169.254.20.10/32', 'fd00:ec2::253/128'] } }),
      fullestBoundary(),
    ]) {
      const answer = await create(plane.request, namespace, object, { dryRun: true });
      expect(answer.status, messageOf(answer)).to.equal(201);
    }
  });
});
