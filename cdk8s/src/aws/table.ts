import type { GlobalValues } from '../charts/global.ts';
import type { Scope } from '../constructs/scope.ts';
import type { Attribute, Service, Table } from '../model/types.ts';
import { awsName, keyNamespace, storeKey } from './names.ts';
import { ack, labelsOf, ref, tagList } from './objects.ts';
import { WAVES } from './waves.ts';

/** A DynamoDB table: paid by the request, encrypted with a key of ours, restorable to any second of the last 35 days, not deletable by mistake. */
export function table(scope: Scope, global: GlobalValues, service: Service, described: Table): void {
  const { name, partitionKey, sortKey, indexes = [], timeToLive } = described;
  const key = storeKey(service.zone);
  ack(scope, global, {
    kind: 'Table',
    name,
    namespace: global.namespaces[service.zone],
    wave: WAVES.stores,
    adopt: { tableName: awsName(global, name) },
    labels: labelsOf(service.name),
    spec: {
      tableName: awsName(global, name),
      billingMode: 'PAY_PER_REQUEST',
      attributeDefinitions: attributesOf(described),
      keySchema: keySchema(partitionKey, sortKey),
      ...(indexes.length > 0 && {
        globalSecondaryIndexes: indexes.map((index) => ({
          indexName: index.name,
          keySchema: keySchema(index.partitionKey, index.sortKey),
          projection: { projectionType: index.projection },
        })),
      }),
      sseSpecification: {
        enabled: true,
        sseType: 'KMS',
        kmsMasterKeyRef: ref(key, keyNamespace(global, key)),
      },
      continuousBackups: { pointInTimeRecoveryEnabled: true },
      deletionProtectionEnabled: true,
      ...(timeToLive !== undefined && { timeToLive: { attributeName: timeToLive, enabled: true } }),
      tags: tagList(global, service.name),
    },
  });
}

const keySchema = (partitionKey: Attribute, sortKey: Attribute | undefined): object[] => [
  { attributeName: partitionKey.name, keyType: 'HASH' },
  ...(sortKey === undefined ? [] : [{ attributeName: sortKey.name, keyType: 'RANGE' }]),
];

/** Every attribute that is in a key, once: DynamoDB refuses others and repetitions. */
function attributesOf({ partitionKey, sortKey, indexes = [] }: Table): object[] {
  const all = [{ partitionKey, sortKey }, ...indexes].flatMap((keys) => [keys.partitionKey, keys.sortKey]);
  const types = new Map<string, string>();
  for (const attribute of all) if (attribute !== undefined) types.set(attribute.name, attribute.type);
  return [...types].map(([attributeName, attributeType]) => ({ attributeName, attributeType }));
}
