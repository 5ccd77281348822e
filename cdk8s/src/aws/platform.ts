import type { GlobalValues } from '../charts/global.ts';
import type { Scope } from '../constructs/scope.ts';
import { choose, isSet, text } from '../holes/index.ts';
import { commanded, withoutCommands } from '../model/derive.ts';
import type { Model } from '../model/types.ts';
import { type KeyPolicyContext, keyPolicy } from './key-policy.ts';
import { awsName, BUS, busName, KEYS, type KeyName, keyNamespace, messageKey } from './names.ts';
import { ack, labelsOf, ref, tagList, tags } from './objects.ts';
import { policyJson } from './policy-json.ts';
import { WAVES } from './waves.ts';

/** What the chart for AWS may be told beside `global`. */
export interface PlatformValues {
  readonly archiveDays: number;
  readonly dynamodbControllerRole: string;
  readonly redriveRoles: Readonly<Record<'events' | 'card', string>>;
  /** Ids of keys that are there already, for a cluster that takes over another's data. */
  readonly keyIds: Readonly<Record<KeyName, string | null>>;
}

export interface PlatformContext {
  readonly model: Model;
  readonly values: PlatformValues & { readonly global: GlobalValues };
}

const OWNER = 'mercato-aws';

const DESCRIPTIONS: Readonly<Record<KeyName, string>> = {
  shop: 'Tables of the shop',
  card: 'Whatever services that touch card data keep or send',
  events: 'Queues and topics of the shop',
};

/** Declares what all services share in AWS: the keys, the event bus and its archive. Nothing unless `global.aws.enabled`. */
export function awsPlatform(scope: Scope, context: PlatformContext): void {
  scope.when(context.values.global.aws.enabled, (inner) => {
    for (const key of KEYS) addKey(inner, context, key);
    bus(inner, context);
  });
}

function addKey(scope: Scope, { model, values }: PlatformContext, key: KeyName): void {
  const { global, keyIds, dynamodbControllerRole, redriveRoles } = values;
  const namespace = keyNamespace(global, key);
  const id = keyIds[key];
  ack(scope, global, {
    kind: 'Key',
    name: key,
    namespace,
    wave: WAVES.foundations,
    annotations: adoption(id),
    labels: labelsOf(OWNER),
    spec: {
      description: DESCRIPTIONS[key],
      keySpec: 'SYMMETRIC_DEFAULT',
      keyUsage: 'ENCRYPT_DECRYPT',
      enableKeyRotation: true,
      policy: policyOf({ global, model, key, dynamodbControllerRole, redriveRoles }),
      tags: Object.entries(tags(global, OWNER)).map(([tagKey, tagValue]) => ({ tagKey, tagValue })),
    },
  });
  ack(scope, global, {
    kind: 'Alias',
    name: key,
    namespace,
    wave: WAVES.stores,
    adopt: { name: text('alias/', awsName(global, key)) },
    labels: labelsOf(OWNER),
    spec: { name: text('alias/', awsName(global, key)), targetKeyRef: ref(key) },
  });
}

/** A key's policy. Nobody uses it for commands where these go over HTTP. */
function policyOf(context: KeyPolicyContext): string {
  const { global, model, key } = context;
  const all = policyJson(keyPolicy(context));
  if (!commanded(model).some(({ zone }) => messageKey(zone) === key)) return all;
  return choose(global.aws.commandQueues, all, policyJson(keyPolicy({ ...context, model: withoutCommands(model) })));
}

/** AWS names keys itself, so a key can be taken over only by whoever knows its id. A null annotation is none. */
const adoption = (id: string | null): Record<string, string> =>
  ({
    'services.k8s.aws/adoption-policy': choose<string | null>(isSet(id), 'adopt-or-create', null),
    'services.k8s.aws/adoption-fields': choose<string | null>(isSet(id), policyJson({ keyID: id ?? '' }), null),
  }) as Record<string, string>;

function bus(scope: Scope, { values: { global, archiveDays } }: PlatformContext): void {
  const namespace = global.namespaces.system;
  ack(scope, global, {
    kind: 'EventBus',
    name: BUS,
    namespace,
    wave: WAVES.foundations,
    adopt: { name: busName(global) },
    labels: labelsOf(OWNER),
    spec: { name: busName(global), tags: tagList(global, OWNER) },
  });
  ack(scope, global, {
    kind: 'Archive',
    name: BUS,
    namespace,
    wave: WAVES.stores,
    adopt: { name: busName(global) },
    labels: labelsOf(OWNER),
    spec: {
      name: busName(global),
      description: 'All events, to be replayed',
      eventSourceRef: ref(BUS),
      retentionDays: archiveDays,
    },
  });
}
