import type { GlobalValues } from '../charts/global.ts';
import type { Scope } from '../constructs/scope.ts';
import type { Queue, Service } from '../model/types.ts';
import {
  answersOf,
  awsName,
  commandsOf,
  deadLetterOf,
  keyNamespace,
  messageKey,
  queueArn,
  queueUrl,
  ruleArn,
} from './names.ts';
import { ack, labelsOf, ref, tags } from './objects.ts';
import { isFed } from './permissions.ts';
import { onlyWithTls, policy, type Statement } from './policy.ts';
import { type Json, policyJson } from './policy-json.ts';
import { WAVES } from './waves.ts';

const DAY = 86_400;

/** How long a message waits for a reader, in seconds. */
const RETENTION = 4 * DAY;

/** How long a message that was given up on waits for a person: SQS keeps none longer. It counts from when the message was first sent. */
const DEAD_LETTER_RETENTION = 14 * DAY;

/** How long a command or an answer is kept, in seconds: nobody waits for longer, and it carries a token. */
const COMMAND_RETENTION = 3_600;

/**
 * An SQS queue and its dead-letter queue, both encrypted with a key of ours.
 * @param retention how long a message waits for a reader, in seconds
 */
export function queue(
  scope: Scope,
  global: GlobalValues,
  service: Service,
  { name, ...described }: Omit<Queue, 'why'>,
  retention = RETENTION,
): void {
  const deadLetter = deadLetterOf(name);
  add(scope, global, service, deadLetter, {
    messageRetentionPeriod: String(DEAD_LETTER_RETENTION),
    redriveAllowPolicy: policyJson({ redrivePermission: 'byQueue', sourceQueueArns: [queueArn(global, name)] }),
    policy: policyJson(queuePolicy(global, service, name, deadLetter)),
  });
  add(scope, global, service, name, {
    messageRetentionPeriod: String(retention),
    visibilityTimeout: String(described.visibilitySeconds),
    redrivePolicy: policyJson({
      deadLetterTargetArn: queueArn(global, deadLetter),
      maxReceiveCount: described.maxReceives,
    }),
    // Nobody else's dead-letter queue.
    redriveAllowPolicy: policyJson({ redrivePermission: 'denyAll' }),
    policy: policyJson(queuePolicy(global, service, name, name)),
  });
}

/** Where a service's commands come from, and the queue that those of the answers are named after. */
export function commandQueues(scope: Scope, global: GlobalValues, service: Service): void {
  if (service.commands === undefined) return;
  queue(scope, global, service, { name: commandsOf(service), ...service.commands }, COMMAND_RETENTION);
  const answers = answersOf(service);
  add(scope, global, service, answers, {
    messageRetentionPeriod: String(COMMAND_RETENTION),
    redriveAllowPolicy: policyJson({ redrivePermission: 'denyAll' }),
    policy: policyJson(queuePolicy(global, service, answers, answers)),
  });
}

function add(scope: Scope, global: GlobalValues, service: Service, name: string, spec: object): void {
  const key = messageKey(service.zone);
  ack(scope, global, {
    kind: 'Queue',
    name,
    namespace: global.namespaces[service.zone],
    wave: WAVES.stores,
    adopt: { queueURL: queueUrl(global, name) },
    labels: labelsOf(service.name),
    spec: {
      queueName: awsName(global, name),
      // Long polling: an empty queue costs three requests a minute and reader, not thousands.
      receiveMessageWaitTimeSeconds: '20',
      kmsMasterKeyRef: ref(key, keyNamespace(global, key)),
      // SQS asks KMS once in so many seconds, not for every message.
      kmsDataKeyReusePeriodSeconds: '300',
      ...spec,
      tags: tags(global, service.name),
    },
  });
}

/** Who else may send: the rule that feeds the queue, of this account, and nobody. What the service itself may do is in its role. */
function queuePolicy(global: GlobalValues, service: Service, queueName: string, target: string): Json {
  const resource = queueArn(global, target);
  const tls = onlyWithTls(resource, 'sqs:SendMessage', 'sqs:ReceiveMessage', 'sqs:DeleteMessage');
  return isFed(service, queueName) ? policy(rulesSend(global, queueName, resource), tls) : policy(tls);
}

const rulesSend = (global: GlobalValues, queueName: string, resource: string): Statement => ({
  Sid: 'ItsRuleSends',
  Effect: 'Allow',
  Principal: { Service: 'events.amazonaws.com' },
  Action: ['sqs:SendMessage'],
  Resource: resource,
  Condition: {
    ArnEquals: { 'aws:SourceArn': ruleArn(global, queueName) },
    StringEquals: { 'aws:SourceAccount': global.aws.accountId },
  },
});
