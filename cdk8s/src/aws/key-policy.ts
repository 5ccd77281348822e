import type { GlobalValues } from '../charts/global.ts';
import { text } from '../holes/index.ts';
import type { Model } from '../model/types.ts';
import { accountArn, deadLetterOf, type KeyName, messageKey, queueArn, roleArn, storeKey } from './names.ts';
import { isFed, type KeyUse, keyUses } from './permissions.ts';
import { policy, type Statement, sid } from './policy.ts';
import type { Json } from './policy-json.ts';

/** What a key's policy follows from. */
export interface KeyPolicyContext {
  readonly global: GlobalValues;
  readonly model: Model;
  readonly key: KeyName;
  /** Name of the role of ACK's controller for DynamoDB. */
  readonly dynamodbControllerRole: string;
  /** Name of the role as which people move dead letters back, by the key of their queue. */
  readonly redriveRoles: Readonly<Record<'events' | 'card', string>>;
}

/** In a key's policy, this key. The one wildcard in all policies here: KMS takes nothing else there. */
const THIS_KEY = '*';

/**
 * Who may do what with a key. Using it is granted here and nowhere else, to roles by name: the account's own policies decide over its administration
 * only, so that no policy elsewhere opens it. Roles are named in a condition instead of as principals because KMS refuses a principal that does not exist yet, and
 * because a role that is deleted and made again is the same one here.
 */
export function keyPolicy(context: KeyPolicyContext): Json {
  const { model, key } = context;
  const uses = keyUses(model).filter((use) => use.key === key);
  return policy(
    administration(context),
    ...tableSetUp(context),
    ...uses.map((use) => usage(context, use)),
    ...eventDelivery(context),
    ...redrive(context),
  );
}

/** Without it nobody could ever change the policy again, and KMS refuses the key. */
const administration = ({ global }: KeyPolicyContext): Statement => ({
  Sid: 'AccountAdministers',
  Effect: 'Allow',
  Principal: { AWS: accountArn(global, 'iam', 'root') },
  Action: [
    'kms:CancelKeyDeletion',
    'kms:CreateAlias',
    'kms:DeleteAlias',
    'kms:DescribeKey',
    'kms:DisableKey',
    'kms:DisableKeyRotation',
    'kms:EnableKey',
    'kms:EnableKeyRotation',
    'kms:GetKeyPolicy',
    'kms:GetKeyRotationStatus',
    'kms:ListGrants',
    'kms:ListKeyPolicies',
    'kms:ListKeyRotations',
    'kms:ListResourceTags',
    'kms:PutKeyPolicy',
    'kms:RevokeGrant',
    'kms:RotateKeyOnDemand',
    'kms:ScheduleKeyDeletion',
    'kms:TagResource',
    'kms:UntagResource',
    'kms:UpdateAlias',
    'kms:UpdateKeyDescription',
  ],
  Resource: THIS_KEY,
});

/** Who chooses a key for a table must have what DynamoDB then does with it, and lets DynamoDB go on with a grant. */
function tableSetUp({ global, model, key, dynamodbControllerRole }: KeyPolicyContext): Statement[] {
  if (!model.services.some(({ zone, tables = [] }) => tables.length > 0 && storeKey(zone) === key)) return [];
  const role = roleNamed(global, dynamodbControllerRole);
  return [
    {
      Sid: 'ControllerSetsUpTables',
      Effect: 'Allow',
      Principal: { AWS: '*' },
      Action: [
        'kms:Decrypt',
        'kms:DescribeKey',
        'kms:Encrypt',
        'kms:GenerateDataKey',
        'kms:GenerateDataKeyWithoutPlaintext',
        'kms:ReEncryptFrom',
        'kms:ReEncryptTo',
      ],
      Resource: THIS_KEY,
      Condition: onlyThrough(global, role, 'dynamodb'),
    },
    {
      Sid: 'ControllerGrantsDynamoDb',
      Effect: 'Allow',
      Principal: { AWS: '*' },
      Action: ['kms:CreateGrant'],
      Resource: THIS_KEY,
      Condition: { ...onlyThrough(global, role, 'dynamodb'), Bool: { 'kms:GrantIsForAWSResource': 'true' } },
    },
  ];
}

const usage = ({ global }: KeyPolicyContext, { service, through, actions }: KeyUse): Statement => ({
  Sid: sid(service.name, 'through', through),
  Effect: 'Allow',
  Principal: { AWS: '*' },
  Action: actions,
  Resource: THIS_KEY,
  Condition: onlyThrough(global, roleArn(global, service), through),
});

const onlyThrough = (global: GlobalValues, role: string, service: KeyUse['through']) => ({
  StringEquals: {
    'aws:PrincipalArn': role,
    'kms:CallerAccount': global.aws.accountId,
    'kms:ViaService': text(service, '.', global.aws.region, '.amazonaws.com'),
  },
});

const queuesOf = ({ model, key }: KeyPolicyContext) =>
  model.services
    .filter(({ zone }) => messageKey(zone) === key)
    .flatMap((service) => (service.queues ?? []).map(({ name }) => ({ name, fed: isFed(service, name) })));

/** The bus encrypts what it puts into a queue; which queues those are, SQS says in the encryption context. */
function eventDelivery(context: KeyPolicyContext): Statement[] {
  const queues = queuesOf(context)
    .filter(({ fed }) => fed)
    .flatMap(({ name }) => [name, deadLetterOf(name)])
    .map((name) => queueArn(context.global, name));
  if (queues.length === 0) return [];
  return [
    {
      Sid: 'EventBusDelivers',
      Effect: 'Allow',
      Principal: { Service: 'events.amazonaws.com' },
      Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
      Resource: THIS_KEY,
      Condition: { StringEquals: { 'kms:EncryptionContext:aws:sqs:arn': queues } },
    },
  ];
}

/** SQS moves dead letters back in the name of whoever asks it to. */
function redrive(context: KeyPolicyContext): Statement[] {
  const { global, key, redriveRoles } = context;
  if (key === 'shop' || queuesOf(context).length === 0) return [];
  return [
    {
      Sid: 'PeopleRedrive',
      Effect: 'Allow',
      Principal: { AWS: '*' },
      Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
      Resource: THIS_KEY,
      Condition: onlyThrough(global, roleNamed(global, redriveRoles[key]), 'sqs'),
    },
  ];
}

const roleNamed = (global: GlobalValues, name: string): string => accountArn(global, 'iam', text('role/', name));
