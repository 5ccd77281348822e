import { expect } from 'chai';
import type { KubernetesObject } from '../backends/render.ts';
import { mercato } from '../model/mercato.ts';
import type { Model } from '../model/types.ts';
import { ackObjects, idle, notices, parsed, policiesIn, richModel, specOf, vault } from './testing.ts';

const ACCOUNT = '123456789012';
const REGION = 'eu-west-2';
const INSTALLATION = { accountId: ACCOUNT, region: REGION };
const arn = (service: string, rest: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${rest}`;

/** Each action on each thing that a service's role allows. */
function allowed(objects: readonly KubernetesObject[], service: string): string[] {
  const role = objects.find(({ kind, metadata }) => kind === 'Role' && metadata.name === service);
  if (role === undefined) return [];
  const statements = Object.values(specOf(role)['inlinePolicies'] as object).flatMap((text) => parsed(text).Statement);
  return statements
    .flatMap(({ Effect, Action, Resource }) =>
      Action.flatMap((action) => [Resource].flat().map((resource) => `${Effect} ${action} ${resource}`)),
    )
    .sort();
}

const allow = (actions: readonly string[], resource: string): string[] =>
  actions.map((action) => `Allow ${action} ${resource}`);

const ITEMS = [
  'BatchGetItem',
  'BatchWriteItem',
  'ConditionCheckItem',
  'DeleteItem',
  'DescribeTable',
  'GetItem',
  'PutItem',
  'Query',
  'UpdateItem',
].map((action) => `dynamodb:${action}`);
const RECEIVE = ['ChangeMessageVisibility', 'DeleteMessage', 'GetQueueAttributes', 'GetQueueUrl', 'ReceiveMessage'].map(
  (action) => `sqs:${action}`,
);
const BUS = arn('events', 'event-bus/mercato-production');

const JOURNAL = [
  ...allow(ITEMS, arn('dynamodb', 'table/mercato-production-saga-journal')),
  ...['OwnerIndex', 'EndIndex', 'AttentionIndex', 'MailIndex'].flatMap((index) =>
    allow(['dynamodb:Query'], arn('dynamodb', `table/mercato-production-saga-journal/index/${index}`)),
  ),
];

/** Written out, so that a permission more or less is somebody's decision here as well. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'mercato-operator': JOURNAL,
  'mercato-worker': [
    ...JOURNAL,
    ...allow(RECEIVE, arn('sqs', 'mercato-production-orders')),
    ...allow(['sqs:SendMessage'], arn('sqs', 'mercato-production-orders-dead-letter')),
    ...allow(['events:PutEvents'], BUS),
  ],
  inventory: [
    ...allow(ITEMS, arn('dynamodb', 'table/mercato-production-inventory')),
    ...allow(['dynamodb:Query'], arn('dynamodb', 'table/mercato-production-inventory/index/StockLevelIndex')),
    ...allow(RECEIVE, arn('sqs', 'mercato-production-inventory-events')),
    ...allow(['events:PutEvents'], BUS),
  ],
  payment: allow(['events:PutEvents'], BUS),
  shipping: allow(['events:PutEvents'], BUS),
  vault: [
    ...allow(ITEMS, arn('dynamodb', 'table/mercato-production-vault-tokens')),
    ...allow(['dynamodb:Query'], arn('dynamodb', 'table/mercato-production-vault-tokens/index/ByHash')),
    ...allow(['dynamodb:Query'], arn('dynamodb', 'table/mercato-production-vault-tokens/index/ByTime')),
    // Nothing feeds it, so its service does.
    ...allow([...RECEIVE, 'sqs:SendMessage'], arn('sqs', 'mercato-production-vault-webhooks')),
  ],
  notices: allow(['sns:Publish'], arn('sns', 'mercato-production-notices-sent')),
  order: [
    ...allow(ITEMS, arn('dynamodb', 'table/mercato-production-orders')),
    ...allow(['dynamodb:Query'], arn('dynamodb', 'table/mercato-production-orders/index/CustomerIndex')),
    ...allow(['dynamodb:Query'], arn('dynamodb', 'table/mercato-production-orders/index/OpenIndex')),
    ...allow(RECEIVE, arn('sqs', 'mercato-production-order-events')),
    ...allow(['sqs:SendMessage'], arn('sqs', 'mercato-production-order-events-dead-letter')),
    ...allow(['events:PutEvents'], arn('events', 'event-bus/mercato-production')),
    ...allow(['sns:Publish'], arn('sns', 'mercato-production-order-announcements')),
  ],
};

describe('permissions', () => {
  const objects = ackObjects(richModel, 'production', INSTALLATION);

  for (const { name } of richModel.services)
    it(`of ${name} are those that the model gives it, and no others`, () => {
      expect(allowed(objects, name)).to.deep.equal([...(EXPECTED[name] ?? [])].sort());
    });

  it('are no role at all for a service that has nothing in AWS', () => {
    const kinds = objects.filter(({ metadata }) => metadata.name === idle.name).map(({ kind }) => kind);
    expect(kinds).to.deep.equal([]);
    expect(objects.filter(({ kind }) => kind === 'Role').map(({ metadata }) => metadata.name)).to.have.members(
      Object.keys(EXPECTED),
    );
  });

  it('have no wildcard in an action or a resource, but for the key itself in its own policy', () => {
    let statements = 0;
    for (const object of objects)
      for (const { Sid, Action, Resource } of policiesIn(object).flatMap(({ Statement }) => Statement)) {
        statements += 1;
        const resources = [Resource ?? []].flat();
        expect(
          Action.filter((action) => action.includes('*')),
          `${object.kind} ${object.metadata.name} ${Sid}`,
        ).to.be.empty;
        if (object.kind === 'Key') expect(resources).to.deep.equal(['*']);
        else
          expect(
            resources.filter((resource) => resource.includes('*')),
            `${object.kind} ${object.metadata.name} ${Sid}`,
          ).to.be.empty;
      }
    expect(statements).to.be.greaterThan(20);
  });

  describe('where commands go over queues', () => {
    const overQueues = ackObjects(richModel, 'production', { ...INSTALLATION, commandQueues: true });
    const commands = (name: string) => arn('sqs', `mercato-production-${name}-commands`);
    const answers = (name: string, more = '') => arn('sqs', `mercato-production-${name}-answers${more}`);
    const TAKERS = ['inventory', 'shipping'];

    /** Beside what each has anyway. */
    const MORE: Readonly<Record<string, readonly string[]>> = {
      ...Object.fromEntries(
        TAKERS.map((name) => [
          name,
          [
            ...allow(['sqs:DeleteMessage', 'sqs:ReceiveMessage'], commands(name)),
            ...allow(['sqs:SendMessage'], answers(name, '-*')),
          ],
        ]),
      ),
      'mercato-worker': [
        ...TAKERS.flatMap((name) => [
          ...allow(['sqs:SendMessage'], commands(name)),
          ...allow(
            [
              'sqs:ChangeMessageVisibility',
              'sqs:CreateQueue',
              'sqs:DeleteMessage',
              'sqs:DeleteQueue',
              'sqs:ListQueueTags',
              'sqs:ReceiveMessage',
              'sqs:TagQueue',
            ],
            answers(name, '-*'),
          ),
          ...allow(['sqs:GetQueueAttributes'], answers(name)),
        ]),
        // AWS bounds this action to nothing.
        ...allow(['sqs:ListQueues'], '*'),
      ],
    };

    for (const { name } of richModel.services)
      it(`of ${name} are ${MORE[name] === undefined ? 'no more' : 'what its side of them takes'}`, () => {
        expect(allowed(overQueues, name)).to.deep.equal([...(EXPECTED[name] ?? []), ...(MORE[name] ?? [])].sort());
      });

    it('are about queues that are declared, each with what was given up on, and none of which anybody else may fill', () => {
      const names = overQueues.filter(({ kind }) => kind === 'Queue').map(({ metadata }) => metadata.name);
      const before = objects.filter(({ kind }) => kind === 'Queue').map(({ metadata }) => metadata.name);
      expect(names.filter((name) => !before.includes(name)).sort()).to.deep.equal(
        TAKERS.flatMap((name) => [`${name}-answers`, `${name}-commands`, `${name}-commands-dead-letter`]),
      );
      for (const object of overQueues.filter(({ metadata }) => /-(commands|answers)/.test(metadata.name)))
        if (object.kind === 'Queue')
          expect(policiesIn(object).flatMap(({ Statement }) => Statement.map(({ Effect }) => Effect))).to.deep.equal([
            'Deny',
          ]);
    });

    it('let both sides use the key of messages, and nobody the key of cards', () => {
      const sids = (all: readonly KubernetesObject[], key: string) =>
        policiesIn(all.find(({ kind, metadata }) => kind === 'Key' && metadata.name === key) as KubernetesObject)
          .flatMap(({ Statement }) => Statement)
          .filter(({ Action }) => Action.includes('kms:GenerateDataKey'))
          .map(({ Sid }) => Sid);
      const more = ['InventoryThroughSqs', 'ShippingThroughSqs'];
      expect(sids(objects, 'events')).not.to.include.members(more);
      expect(sids(overQueues, 'events')).to.include.members(more);
      expect(sids(overQueues, 'card')).to.deep.equal(sids(objects, 'card'));
    });
  });

  it('let a service put only events of its own on the bus', () => {
    const SOURCES: Readonly<Record<string, string>> = { 'mercato-worker': '/mercato/operator' };
    for (const service of mercato.services.filter(({ events }) => (events?.publishes.length ?? 0) > 0)) {
      const role = objects.find(({ kind, metadata }) => kind === 'Role' && metadata.name === service.name);
      const put = policiesIn(role as KubernetesObject)
        .flatMap(({ Statement }) => Statement)
        .find(({ Action }) => Action.includes('events:PutEvents'));
      expect(put?.Condition).to.deep.equal({
        'ForAllValues:StringEquals': {
          'events:source': [SOURCES[service.name] ?? `/mercato/${service.name}`],
          'events:detail-type': service.events?.publishes,
        },
        // Without it an entry that says neither would pass.
        Null: { 'events:source': 'false', 'events:detail-type': 'false' },
      });
    }
  });

  it('go with Pod Identity to pods of one service account of one cluster', () => {
    const [trust] = policiesIn(theRole(objects, 'payment'));
    expect(trust?.Statement).to.deep.equal([
      {
        Sid: 'PodsOfItsServiceAccount',
        Effect: 'Allow',
        Principal: { Service: 'pods.eks.amazonaws.com' },
        Action: ['sts:AssumeRole', 'sts:TagSession'],
        Condition: {
          StringEquals: {
            'aws:RequestTag/eks-cluster-arn': arn('eks', 'cluster/mercato'),
            'aws:RequestTag/kubernetes-namespace': 'mercato-card',
            'aws:RequestTag/kubernetes-service-account': 'payment',
          },
        },
      },
    ]);
    const association = objects.find(
      (each) => each.kind === 'PodIdentityAssociation' && each.metadata.name === 'payment',
    );
    expect(specOf(association as KubernetesObject)).to.deep.equal({
      clusterName: 'mercato',
      namespace: 'mercato-card',
      serviceAccount: 'payment',
      roleRef: { from: { name: 'payment' } },
    });
  });

  it('go with IRSA to tokens of one service account, without an association', () => {
    const oidcProvider = 'oidc.eks.eu-west-2.amazonaws.com/id/ABC';
    const irsa = ackObjects(richModel, 'production', { ...INSTALLATION, identity: 'irsa', oidcProvider });
    const [trust] = policiesIn(theRole(irsa, 'payment'));
    expect(trust?.Statement[0]).to.deep.include({
      Principal: { Federated: `arn:aws:iam::${ACCOUNT}:oidc-provider/${oidcProvider}` },
      Action: ['sts:AssumeRoleWithWebIdentity'],
      Condition: {
        StringEquals: {
          [`${oidcProvider}:aud`]: 'sts.amazonaws.com',
          [`${oidcProvider}:sub`]: 'system:serviceaccount:mercato-card:payment',
        },
      },
    });
    expect(irsa.filter(({ kind }) => kind === 'PodIdentityAssociation')).to.be.empty;
    expect(allowed(irsa, 'inventory')).to.deep.equal(allowed(objects, 'inventory'));
  });

  it('go with IRSA to tokens of the cluster’s own issuer, if no other is named', () => {
    const irsa = ackObjects(richModel, 'production', { ...INSTALLATION, identity: 'irsa' });
    expect(policiesIn(theRole(irsa, 'payment'))[0]?.Statement[0]?.Principal).to.deep.equal({
      Federated: `arn:aws:iam::${ACCOUNT}:oidc-provider/kubernetes.default.svc.cluster.local`,
    });
  });

  it('are nobody’s when pods get no AWS identity', () => {
    const none = ackObjects(richModel, 'production', { ...INSTALLATION, identity: 'none' });
    expect(none.filter(({ kind }) => ['Role', 'PodIdentityAssociation'].includes(kind))).to.be.empty;
    expect(none).not.to.be.empty;
  });

  describe('to use a key', () => {
    const uses = (model: Model, key: string): string[] => {
      const object = ackObjects(model, 'production', INSTALLATION).find(
        ({ kind, metadata }) => kind === 'Key' && metadata.name === key,
      );
      return policiesIn(object as KubernetesObject)
        .flatMap(({ Statement }) => Statement)
        .filter(({ Sid }) => Sid !== 'AccountAdministers')
        .map(({ Action, Condition, Principal }) => {
          const { 'aws:PrincipalArn': role, 'kms:ViaService': through } = (Condition?.['StringEquals'] ?? {}) as Record<
            string,
            string
          >;
          const who = role ?? (Principal as { Service: string }).Service;
          return `${who.replace(`arn:aws:iam::${ACCOUNT}:role/`, '')}: ${Action.join(' ')}${through === undefined ? '' : ` through ${through}`}`;
        });
    };
    const CONTROLLER = [
      'ack-dynamodb-controller: kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey kms:GenerateDataKeyWithoutPlaintext kms:ReEncryptFrom kms:ReEncryptTo through dynamodb.eu-west-2.amazonaws.com',
      'ack-dynamodb-controller: kms:CreateGrant through dynamodb.eu-west-2.amazonaws.com',
    ];

    it('are given to roles by name, and through the service whose data it is', () => {
      expect(uses(mercato, 'shop')).to.deep.equal([
        ...CONTROLLER,
        'mercato-production-mercato-operator: kms:Decrypt kms:DescribeKey through dynamodb.eu-west-2.amazonaws.com',
        'mercato-production-mercato-worker: kms:Decrypt kms:DescribeKey through dynamodb.eu-west-2.amazonaws.com',
        'mercato-production-order: kms:Decrypt kms:DescribeKey through dynamodb.eu-west-2.amazonaws.com',
        'mercato-production-inventory: kms:Decrypt kms:DescribeKey through dynamodb.eu-west-2.amazonaws.com',
      ]);
      expect(uses(mercato, 'events')).to.deep.equal([
        'mercato-production-mercato-worker: kms:Decrypt kms:GenerateDataKey through sqs.eu-west-2.amazonaws.com',
        'mercato-production-order: kms:Decrypt kms:GenerateDataKey through sqs.eu-west-2.amazonaws.com',
        'mercato-production-order: kms:Decrypt kms:GenerateDataKey through sns.eu-west-2.amazonaws.com',
        'mercato-production-inventory: kms:Decrypt through sqs.eu-west-2.amazonaws.com',
        'events.amazonaws.com: kms:Decrypt kms:GenerateDataKey',
        'mercato-redrive: kms:Decrypt kms:GenerateDataKey through sqs.eu-west-2.amazonaws.com',
      ]);
    });

    it('for card data are given only to services that touch it', () => {
      expect(uses(mercato, 'card')).to.deep.equal([]);
      expect(uses(richModel, 'card')).to.deep.equal([
        ...CONTROLLER,
        'mercato-production-vault: kms:Decrypt kms:DescribeKey through dynamodb.eu-west-2.amazonaws.com',
        'mercato-production-vault: kms:Decrypt kms:GenerateDataKey through sqs.eu-west-2.amazonaws.com',
        'mercato-redrive-card: kms:Decrypt kms:GenerateDataKey through sqs.eu-west-2.amazonaws.com',
      ]);
      expect(uses(richModel, 'shop')).to.deep.equal(uses(mercato, 'shop'));
    });

    it('include what a topic’s publisher needs', () => {
      expect(uses(richModel, 'events')).to.include(
        'mercato-production-notices: kms:Decrypt kms:GenerateDataKey through sns.eu-west-2.amazonaws.com',
      );
      expect(notices.topics).to.have.length(1);
    });

    it('cannot be given by policies elsewhere in the account', () => {
      const opening =
        /^kms:(Encrypt|Decrypt|ReEncrypt|GenerateDataKey|CreateGrant|Sign|Verify|GetPublicKey|DeriveSharedSecret)/;
      for (const key of objects.filter(({ kind }) => kind === 'Key')) {
        const administration = policiesIn(key)
          .flatMap(({ Statement }) => Statement)
          .find(({ Sid }) => Sid === 'AccountAdministers');
        expect(administration?.Principal).to.deep.equal({ AWS: `arn:aws:iam::${ACCOUNT}:root` });
        expect(administration?.Action.filter((action) => opening.test(action))).to.deep.equal([]);
        expect(administration?.Action).to.include('kms:PutKeyPolicy');
      }
    });

    it('for a queue of events are the bus’ for that queue and its dead-letter queue', () => {
      const events = objects.find(({ kind, metadata }) => kind === 'Key' && metadata.name === 'events');
      const delivery = policiesIn(events as KubernetesObject)
        .flatMap(({ Statement }) => Statement)
        .find(({ Sid }) => Sid === 'EventBusDelivers');
      expect(delivery?.Condition).to.deep.equal({
        StringEquals: {
          'kms:EncryptionContext:aws:sqs:arn': [
            arn('sqs', 'mercato-production-orders'),
            arn('sqs', 'mercato-production-orders-dead-letter'),
            arn('sqs', 'mercato-production-order-events'),
            arn('sqs', 'mercato-production-order-events-dead-letter'),
            arn('sqs', 'mercato-production-inventory-events'),
            arn('sqs', 'mercato-production-inventory-events-dead-letter'),
          ],
        },
      });
    });
  });

  it('to send to a queue are its rule’s alone', () => {
    const statementsOf = (name: string) => {
      const queue = objects.find(({ kind, metadata }) => kind === 'Queue' && metadata.name === name);
      return policiesIn(queue as KubernetesObject).flatMap(({ Statement }) => Statement);
    };
    for (const name of ['inventory-events', 'inventory-events-dead-letter']) {
      const [send, tls] = statementsOf(name);
      expect(send).to.deep.include({
        Effect: 'Allow',
        Principal: { Service: 'events.amazonaws.com' },
        Action: ['sqs:SendMessage'],
        Resource: arn('sqs', `mercato-production-${name}`),
        Condition: {
          ArnEquals: {
            'aws:SourceArn': arn('events', 'rule/mercato-production/mercato-production-to-inventory-events'),
          },
          StringEquals: { 'aws:SourceAccount': ACCOUNT },
        },
      });
      expect(tls).to.deep.include({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } });
    }
    expect(statementsOf('vault-webhooks').filter(({ Effect }) => Effect === 'Allow')).to.be.empty;
    expect(vault.queues).to.have.length(1);
  });
});

const theRole = (objects: readonly KubernetesObject[], service: string): KubernetesObject =>
  objects.find(({ kind, metadata }) => kind === 'Role' && metadata.name === service) as KubernetesObject;
