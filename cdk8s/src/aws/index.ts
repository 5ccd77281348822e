import type { GlobalValues } from '../charts/global.ts';
import type { Scope } from '../constructs/scope.ts';
import type { Service } from '../model/types.ts';
import { queue } from './queue.ts';
import { role } from './role.ts';
import { rule } from './rule.ts';
import { table } from './table.ts';
import { topic } from './topic.ts';

/** What this needs to know of a service and its installation. */
export interface AwsContext {
  readonly service: Service;
  readonly values: { readonly global: GlobalValues };
}

/**
 * Declares what a service has in AWS as resources of ACK's controllers: its tables, queues, rules and topics, its role, and what binds the role to its
 * pods. Nothing unless `global.aws.enabled`. What all services share is in the chart mercato-aws (`awsPlatform`).
 */
export function aws(scope: Scope, { service, values: { global } }: AwsContext): void {
  scope.when(global.aws.enabled, (inner) => {
    for (const each of service.tables ?? []) table(inner, global, service, each);
    for (const each of service.queues ?? []) queue(inner, global, service, each);
    for (const each of service.topics ?? []) topic(inner, global, service, each);
    for (const each of service.events?.consumes ?? []) rule(inner, global, service, each);
    role(inner, global, service);
  });
}
