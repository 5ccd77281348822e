import type { GlobalValues } from '../charts/global.ts';
import type { Scope } from '../constructs/scope.ts';
import type { Service } from '../model/types.ts';
import { awsName, BUS, busName, deadLetterOf, queueArn, ruleOf } from './names.ts';
import { ack, labelsOf, ref, tagList } from './objects.ts';
import { policyJson } from './policy-json.ts';
import { WAVES } from './waves.ts';

type Consumption = NonNullable<Service['events']>['consumes'][number];

/** How long the bus tries to deliver an event, in seconds; then it goes to the dead-letter queue. The longest that EventBridge takes. */
const MAXIMUM_AGE = 86_400;
const MAXIMUM_ATTEMPTS = 185;

/** Brings the events that a service hears to its queue. What cannot be delivered goes to that queue's dead-letter queue. */
export function rule(scope: Scope, global: GlobalValues, service: Service, { types, queue }: Consumption): void {
  ack(scope, global, {
    kind: 'Rule',
    name: ruleOf(queue),
    namespace: global.namespaces[service.zone],
    wave: WAVES.access,
    adopt: { name: awsName(global, ruleOf(queue)), eventBusName: busName(global) },
    labels: labelsOf(service.name),
    spec: {
      name: awsName(global, ruleOf(queue)),
      description: `Events that ${service.name} hears`,
      eventBusRef: ref(BUS, global.namespaces.system),
      eventPattern: policyJson({ 'detail-type': types }),
      state: 'ENABLED',
      targets: [
        {
          id: queue,
          arn: queueArn(global, queue),
          deadLetterConfig: { arn: queueArn(global, deadLetterOf(queue)) },
          retryPolicy: { maximumEventAgeInSeconds: MAXIMUM_AGE, maximumRetryAttempts: MAXIMUM_ATTEMPTS },
        },
      ],
      tags: tagList(global, service.name),
    },
  });
}
