import type { GlobalValues } from '../charts/global.ts';
import type { Scope } from '../constructs/scope.ts';
import type { Model, Service } from '../model/types.ts';
import { commandQueues, queue } from './queue.ts';
import { role } from './role.ts';
import { rule } from './rule.ts';
import { table } from './table.ts';
import { topic } from './topic.ts';

/** What this needs to know of a service and its installation. */
export interface AwsContext {
  readonly model: Model;
  readonly service: Service;
  readonly values: { readonly global: GlobalValues };
}

/**
 * Declares what a service has in AWS as resources of ACK's controllers: its tables, queues, rules and topics, its role, and what binds the role to its
 * pods. Nothing unless `global.aws.enabled`. What all services share is in the chart mercato-aws (`awsPlatform`).
 */
export function aws(scope: Scope, ctx: AwsContext): void {
  const { service } = ctx;
  const { global } = ctx.values;
  scope.when(global.aws.enabled, (inner) => {
    for (const each of service.tables ?? []) table(inner, global, service, each);
    for (const each of service.queues ?? []) queue(inner, global, service, each);
    inner.when(global.aws.commandQueues, (so) => commandQueues(so, global, service));
    for (const each of service.topics ?? []) topic(inner, global, service, each);
    for (const each of service.events?.consumes ?? []) rule(inner, global, service, each);
    role(inner, ctx);
  });
}
