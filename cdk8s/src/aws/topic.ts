import type { GlobalValues } from '../charts/global.ts';
import type { Scope } from '../constructs/scope.ts';
import type { Service, Topic } from '../model/types.ts';
import { awsName, keyNamespace, messageKey, topicArn } from './names.ts';
import { ack, labelsOf, ref, tagList } from './objects.ts';
import { onlyWithTls, policy } from './policy.ts';
import { policyJson } from './policy-json.ts';
import { WAVES } from './waves.ts';

/** An SNS topic, encrypted with a key of ours. Only its service publishes to it, which its role says. */
export function topic(scope: Scope, global: GlobalValues, service: Service, { name }: Topic): void {
  const key = messageKey(service.zone);
  ack(scope, global, {
    kind: 'Topic',
    name,
    namespace: global.namespaces[service.zone],
    wave: WAVES.stores,
    adopt: { arn: topicArn(global, name) },
    labels: labelsOf(service.name),
    spec: {
      name: awsName(global, name),
      kmsMasterKeyRef: ref(key, keyNamespace(global, key)),
      policy: policyJson(policy(onlyWithTls(topicArn(global, name), 'sns:Publish'))),
      signatureVersion: '2',
      tags: tagList(global, service.name),
    },
  });
}
