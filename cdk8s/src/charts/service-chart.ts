import { aws } from '../aws/index.ts';
import { autoscaler } from '../constructs/autoscaler.ts';
import { type ServiceContext, shapesOf } from '../constructs/context.ts';
import { networkPolicies } from '../constructs/networkpolicy.ts';
import { disruptionBudget } from '../constructs/pdb.ts';
import type { Scope } from '../constructs/scope.ts';
import { service as address } from '../constructs/service.ts';
import { serviceAccount } from '../constructs/serviceaccount.ts';
import { workload } from '../constructs/workload.ts';
import type { Model, Service } from '../model/types.ts';
import { monitoring } from '../monitoring/index.ts';
import { type ChartDefinition, defineChart } from './chart.ts';
import { type ServiceValues, serviceSchema } from './service-values.ts';

/** The chart of a service: all that follows from its entry in the model. */
export function serviceChart(model: Model, service: Service): ChartDefinition {
  return defineChart({
    name: service.name,
    description: service.description,
    values: serviceSchema(service),
    render: (scope, values) => serviceObjects(scope, { model, service, values: values as unknown as ServiceValues }),
  });
}

/** The objects of a service. Charts of controllers add theirs to these, and say by `program` what the program is told. */
export function serviceObjects(scope: Scope, ctx: ServiceContext): void {
  surroundings(scope, ctx);
  pods(scope, ctx);
}

/** What a service has whatever runs its program. */
export function surroundings(scope: Scope, ctx: ServiceContext): void {
  aws(scope, ctx);
  serviceAccount(scope, ctx);
  networkPolicies(scope, ctx);
  address(scope, ctx);
  monitoring(scope, ctx);
}

/** What runs its program, and how many of it there are: of each shape that the service can have, all that belongs to it. */
export function pods(scope: Scope, ctx: ServiceContext): void {
  for (const { service, holds } of shapesOf(ctx))
    scope.when(holds, (inner) => {
      const shaped = { ...ctx, service };
      workload(inner, shaped);
      autoscaler(inner, shaped);
      disruptionBudget(inner, shaped);
    });
}
