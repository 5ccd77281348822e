import { expect } from 'chai';
import { ACK_KINDS } from '../argocd/health.ts';
import type { KubernetesObject } from '../backends/render.ts';
import { mercato } from '../model/mercato.ts';
import { ENVIRONMENTS } from '../model/types.ts';
import { at } from '../testing/rendered.ts';
import { HOLDS_DATA, HOLDS_NOTHING } from './objects.ts';
import { ackObjects, isAck, richModel, specOf } from './testing.ts';
import { SYNC_WAVE, WAVES } from './waves.ts';

const annotation = (object: KubernetesObject, name: string): unknown => at(object, ['metadata', 'annotations', name]);
const called = ({ kind, metadata }: KubernetesObject): string => `${kind} ${metadata.namespace}/${metadata.name}`;
const waveOf = (object: KubernetesObject): number => Number(annotation(object, SYNC_WAVE));

/** Every reference in an object's specification: the kind that it is to, by the field's name, and the address. */
function referencesOf(object: KubernetesObject): string[] {
  const kinds: Readonly<Record<string, string>> = {
    eventBusRef: 'EventBus',
    eventSourceRef: 'EventBus',
    kmsMasterKeyRef: 'Key',
    roleRef: 'Role',
    targetKeyRef: 'Key',
  };
  const walk = (value: unknown): string[] => {
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(value).flatMap(([field, inner]) => {
      if (!field.endsWith('Ref')) return walk(inner);
      expect(kinds, `${called(object)} refers to something by ${field}`).to.have.property(field);
      const { name, namespace = object.metadata.namespace } = (inner as { from: { name: string; namespace?: string } })
        .from;
      return [`${kinds[field]} ${namespace}/${name}`];
    });
  };
  return walk(object['spec']);
}

describe('what is declared in AWS', () => {
  const rich = ackObjects(richModel, 'production');
  const find = (kind: string, name: string): KubernetesObject => {
    const found = rich.find((object) => object.kind === kind && object.metadata.name === name);
    if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
    return found;
  };

  it('is there where an environment is on AWS, and nowhere else', () => {
    for (const environment of ENVIRONMENTS) {
      const objects = ackObjects(mercato, environment);
      if (environment === 'kind') expect(objects).to.be.empty;
      else expect(new Set(objects.map(({ kind }) => kind))).to.deep.equal(new Set([...HOLDS_DATA, ...HOLDS_NOTHING]));
    }
  });

  it('is of all kinds that there are, once services have all that can be had', () => {
    expect(new Set(rich.map(({ kind }) => kind))).to.deep.equal(new Set([...HOLDS_DATA, ...HOLDS_NOTHING]));
  });

  it('is kept, by ACK and by Argo CD, if it holds data, and every kind is known to hold some or none', () => {
    for (const object of rich) {
      const { kind } = object;
      expect(
        HOLDS_DATA.has(kind) !== HOLDS_NOTHING.has(kind),
        `${kind}: say in objects.ts whether it holds data`,
      ).to.equal(true);
      const [policy, options] = HOLDS_DATA.has(kind) ? ['retain', 'Prune=false'] : [undefined, undefined];
      expect(annotation(object, 'services.k8s.aws/deletion-policy'), called(object)).to.equal(policy);
      expect(annotation(object, 'argocd.argoproj.io/sync-options'), called(object)).to.equal(options);
    }
  });

  it('is in the installation’s region', () => {
    const elsewhere = ackObjects(richModel, 'staging', { region: 'us-east-2', accountId: '210987654321' });
    for (const object of elsewhere) expect(annotation(object, 'services.k8s.aws/region')).to.equal('us-east-2');
    const text = JSON.stringify(elsewhere);
    expect(text).not.to.include('eu-west-1');
    expect(text).not.to.include('000000000000');
  });

  it('has names of its own in staging, so that both can share an account', () => {
    const names = (environment: 'staging' | 'production') =>
      ackObjects(richModel, environment)
        .map((object) => {
          const { name, tableName, queueName } = specOf(object);
          return `${object.kind} ${name ?? tableName ?? queueName}`;
        })
        .filter((name) => !name.endsWith('undefined'));
    const staging = names('staging');
    expect(staging).not.to.be.empty;
    expect(names('production').filter((name) => staging.includes(name))).to.be.empty;
  });

  it('has names that AWS takes, also the longest that a model allows', () => {
    const limits: Readonly<Record<string, number>> = { Role: 64, Queue: 80, Rule: 64, Table: 255, Topic: 256 };
    for (const object of rich) {
      const { name, tableName, queueName } = specOf(object);
      const inAws = (name ?? tableName ?? queueName) as string | undefined;
      if (inAws === undefined) continue;
      expect(inAws.length, `${called(object)}: ${inAws}`).to.be.at.most(limits[object.kind] ?? 256);
      expect(inAws).to.match(object.kind === 'Alias' ? /^alias\/[\w-]+$/ : /^[\w-]+$/);
    }
    // checkModel allows names of 42 characters.
    expect(`mercato-production-${'x'.repeat(42)}`.length).to.be.at.most(limits['Role'] as number);
  });

  it('has no object twice', () => {
    const all = rich.map(called);
    expect(new Set(all).size).to.equal(all.length);
  });

  it('refers only to what is there, and what comes in an earlier wave', () => {
    const byName = new Map(rich.map((object) => [called(object), object]));
    let references = 0;
    for (const object of rich)
      for (const reference of referencesOf(object)) {
        references += 1;
        const found = byName.get(reference);
        expect(found, `${called(object)} refers to ${reference}`).not.to.equal(undefined);
        expect(waveOf(found as KubernetesObject), `${called(object)} refers to ${reference}`).to.be.below(
          waveOf(object),
        );
      }
    expect(references).to.be.greaterThan(15);
  });

  it('is there before the pods that need it: keys, stores, roles, associations, pods', () => {
    const wave = (kind: string) => [...new Set(rich.filter((object) => object.kind === kind).map(waveOf))];
    expect(wave('Key')).to.deep.equal([WAVES.foundations]);
    expect(wave('EventBus')).to.deep.equal([WAVES.foundations]);
    for (const kind of ['Table', 'Queue', 'Topic']) expect(wave(kind)).to.deep.equal([WAVES.stores]);
    for (const kind of ['Role', 'Rule']) expect(wave(kind)).to.deep.equal([WAVES.access]);
    expect(wave('PodIdentityAssociation')).to.deep.equal([WAVES.associations]);
    const order = [WAVES.foundations, WAVES.stores, WAVES.access, WAVES.associations, WAVES.pods];
    expect(order).to.deep.equal([...order].sort((a, b) => a - b));
    expect(new Set(order).size).to.equal(order.length);
    expect(WAVES.pods).to.equal(0);
  });

  it('finds again what a former installation left, where a name tells', () => {
    for (const object of rich) {
      const fields = annotation(object, 'services.k8s.aws/adoption-fields') as string | undefined;
      // AWS names keys and associations itself.
      const nameless = ['Key', 'PodIdentityAssociation'].includes(object.kind);
      expect(fields === undefined, called(object)).to.equal(nameless);
      expect(annotation(object, 'services.k8s.aws/adoption-policy'), called(object)).to.equal(
        nameless ? undefined : 'adopt-or-create',
      );
    }
    const adoption = (kind: string, name: string) =>
      JSON.parse(annotation(find(kind, name), 'services.k8s.aws/adoption-fields') as string);
    expect(adoption('Table', 'inventory')).to.deep.equal({ tableName: 'mercato-production-inventory' });
    expect(adoption('Queue', 'inventory-events')).to.deep.equal({
      queueURL: 'https://sqs.eu-west-1.amazonaws.com/000000000000/mercato-production-inventory-events',
    });
    expect(adoption('Topic', 'notices-sent')).to.deep.equal({
      arn: 'arn:aws:sns:eu-west-1:000000000000:mercato-production-notices-sent',
    });
  });

  it('takes over a key whose id it is told', () => {
    const id = '1234abcd-12ab-34cd-56ef-1234567890ab';
    const keys = ackObjects(richModel, 'production', {}, { keyIds: { shop: id } }).filter(({ kind }) => kind === 'Key');
    const adopted = keys.map((key) => [key.metadata.name, annotation(key, 'services.k8s.aws/adoption-fields')]);
    expect(Object.fromEntries(adopted)).to.deep.equal({
      shop: `{"keyID":"${id}"}`,
      card: undefined,
      events: undefined,
    });
  });

  it('keeps card data and its key apart', () => {
    expect(find('Key', 'card').metadata.namespace).to.equal('mercato-card');
    expect(find('Key', 'shop').metadata.namespace).to.equal('mercato-system');
    for (const object of rich) {
      const references = referencesOf(object).filter((reference) => reference.startsWith('Key '));
      const card = object.metadata.namespace === 'mercato-card';
      for (const reference of references) expect(reference === 'Key mercato-card/card', called(object)).to.equal(card);
    }
  });

  it('rotates every key', () => {
    const keys = rich.filter(({ kind }) => kind === 'Key');
    expect(keys.map(({ metadata }) => metadata.name)).to.have.members(['shop', 'card', 'events']);
    for (const key of keys) expect(specOf(key)['enableKeyRotation']).to.equal(true);
  });

  it('encrypts tables, queues and topics with a key of ours', () => {
    const stores = rich.filter(({ kind }) => ['Table', 'Queue', 'Topic'].includes(kind));
    expect(stores.length).to.be.greaterThan(6);
    for (const store of stores)
      expect(
        referencesOf(store).some((reference) => reference.startsWith('Key ')),
        called(store),
      ).to.equal(true);
    expect(at(find('Table', 'inventory'), 'spec.sseSpecification.sseType')).to.equal('KMS');
  });

  it('has the inventory table as the blueprint has it, restorable and not deletable by mistake', () => {
    expect(specOf(find('Table', 'inventory'))).to.deep.include({
      tableName: 'mercato-production-inventory',
      billingMode: 'PAY_PER_REQUEST',
      keySchema: [
        { attributeName: 'productId', keyType: 'HASH' },
        { attributeName: 'warehouseId', keyType: 'RANGE' },
      ],
      globalSecondaryIndexes: [
        {
          indexName: 'StockLevelIndex',
          keySchema: [
            { attributeName: 'warehouseId', keyType: 'HASH' },
            { attributeName: 'stockLevel', keyType: 'RANGE' },
          ],
          projection: { projectionType: 'ALL' },
        },
      ],
      // Each attribute of a key once, and no other: DynamoDB refuses the rest.
      attributeDefinitions: [
        { attributeName: 'productId', attributeType: 'S' },
        { attributeName: 'warehouseId', attributeType: 'S' },
        { attributeName: 'stockLevel', attributeType: 'N' },
      ],
      continuousBackups: { pointInTimeRecoveryEnabled: true },
      deletionProtectionEnabled: true,
    });
    expect(specOf(find('Table', 'vault-tokens'))).to.deep.include({
      timeToLive: { attributeName: 'goneAt', enabled: true },
    });
    expect(specOf(find('Table', 'inventory'))).not.to.have.property('timeToLive');
  });

  it('gives up on a message after as many receives as the model says, and keeps it for a fortnight', () => {
    const queue = specOf(find('Queue', 'inventory-events'));
    expect(queue).to.include({ visibilityTimeout: '30', messageRetentionPeriod: `${4 * 86_400}` });
    expect(JSON.parse(queue['redrivePolicy'] as string)).to.deep.equal({
      deadLetterTargetArn: 'arn:aws:sqs:eu-west-1:000000000000:mercato-production-inventory-events-dead-letter',
      maxReceiveCount: 5,
    });
    const deadLetter = specOf(find('Queue', 'inventory-events-dead-letter'));
    expect(deadLetter).to.include({ messageRetentionPeriod: `${14 * 86_400}` });
    expect(deadLetter).not.to.have.property('redrivePolicy');
    expect(JSON.parse(deadLetter['redriveAllowPolicy'] as string)).to.deep.equal({
      redrivePermission: 'byQueue',
      sourceQueueArns: ['arn:aws:sqs:eu-west-1:000000000000:mercato-production-inventory-events'],
    });
  });

  it('gives every queue a dead-letter queue', () => {
    const queues = rich.filter(({ kind }) => kind === 'Queue').map(({ metadata }) => metadata.name);
    const live = queues.filter((name) => !name.endsWith('-dead-letter'));
    expect(queues).to.have.members(live.flatMap((name) => [name, `${name}-dead-letter`]));
    expect(live).to.have.members(
      richModel.services.flatMap((service) => (service.queues ?? []).map(({ name }) => name)),
    );
  });

  it('brings to a queue the events that its service hears, and to the dead-letter queue what cannot be delivered', () => {
    const rule = specOf(find('Rule', 'to-inventory-events'));
    expect(JSON.parse(rule['eventPattern'] as string)).to.deep.equal({
      'detail-type': ['dev.mercato.shipping.picked-up', 'dev.mercato.shipping.delivered'],
    });
    const [target] = rule['targets'] as Record<string, unknown>[];
    expect(target).to.deep.include({
      arn: 'arn:aws:sqs:eu-west-1:000000000000:mercato-production-inventory-events',
      deadLetterConfig: { arn: 'arn:aws:sqs:eu-west-1:000000000000:mercato-production-inventory-events-dead-letter' },
    });
  });

  it('keeps all events in an archive, to be replayed', () => {
    const archive = specOf(find('Archive', 'mercato'));
    expect(archive).to.include({ retentionDays: 30 });
    expect(archive).not.to.have.property('eventPattern');
  });

  it('is judged by a health check of its own, so that Argo CD’s waves wait for it', () => {
    const judged = ACK_KINDS.map(({ group, kind }) => `${group} ${kind}`);
    const made = rich.map(({ apiVersion, kind }) => `${apiVersion.split('/')[0]} ${kind}`);
    expect(judged).to.include.members([...new Set(made)]);
  });

  it('is nothing but resources of ACK’s controllers', () => {
    expect(rich.every(isAck)).to.equal(true);
    expect(rich.map(({ metadata }) => metadata.namespace)).not.to.include(undefined);
  });
});
