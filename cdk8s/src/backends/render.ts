import type { Static, TObject } from '@sinclair/typebox';
import { ApiObject, App, Chart } from 'cdk8s';
import type { ChartDefinition } from '../charts/chart.ts';
import { type Block, blocksOf, Scope } from '../constructs/scope.ts';
import { holesOf } from '../holes/hole.ts';

/** A Kubernetes object as plain JSON. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

/** An object of a chart, with placeholders where holes are, and what it stands in, from the outside in. */
export interface Template {
  readonly object: KubernetesObject;
  readonly blocks: readonly Block[];
}

/** What a chart gives with these values, in the order in which its constructs added it. The values are taken as valid (`valuesOf`). */
export function render<Values extends TObject>(
  definition: ChartDefinition<Values>,
  values: Static<Values>,
): KubernetesObject[] {
  return synthesise(definition, values).map((each) => each.toJson() as KubernetesObject);
}

/** What a chart gives when its values are not known yet. @throws HoleError where a construct wants to know one */
export function renderTemplates(definition: ChartDefinition): Template[] {
  return synthesise(definition, holesOf(definition.values)).map((each) => ({
    object: each.toJson() as KubernetesObject,
    blocks: blocksOf(each),
  }));
}

/** The hooks of a chart, as Helm makes them with these values. */
export function renderHooks(definition: ChartDefinition, values: Static<TObject>): KubernetesObject[] {
  return render(hooksOf(definition), values);
}

/** The hooks of a chart when its values are not known yet. @throws HoleError where a construct wants to know one */
export function renderHookTemplates(definition: ChartDefinition): Template[] {
  return renderTemplates(hooksOf(definition));
}

const hooksOf = (definition: ChartDefinition): ChartDefinition => ({
  ...definition,
  render: (scope, values) => definition.hooks?.(scope, values),
});

function synthesise<Values extends TObject>(definition: ChartDefinition<Values>, values: Static<Values>): ApiObject[] {
  const chart = new Chart(new App(), definition.name, { disableResourceNameHashes: true });
  definition.render(new Scope(chart), values);
  return chart.node.children.filter(ApiObject.isApiObject);
}
