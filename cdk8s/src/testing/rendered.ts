import { type KubernetesObject, render } from '../backends/render.ts';
import { type Overrides, valuesOf } from '../backends/values.ts';
import type { ChartDefinition } from '../charts/chart.ts';
import { serviceChart } from '../charts/service-chart.ts';
import { serviceOf } from '../model/derive.ts';
import type { Model } from '../model/types.ts';

const CHARTS = new WeakMap<Model, Map<string, ChartDefinition>>();

/** A service's chart, made once for each model. @throws ModelError */
export function chartOf(model: Model, name: string): ChartDefinition {
  const charts = CHARTS.get(model) ?? new Map<string, ChartDefinition>();
  CHARTS.set(model, charts);
  const chart = charts.get(name) ?? serviceChart(model, serviceOf(model, name));
  charts.set(name, chart);
  return chart;
}

/** The objects of a service's chart. @throws ValuesError, ModelError */
export function rendered(model: Model, name: string, overrides: Overrides = {}): KubernetesObject[] {
  const chart = chartOf(model, name);
  return render(chart, valuesOf(chart, overrides));
}

/** Those of a kind. */
export function ofKind(objects: readonly KubernetesObject[], kind: string): KubernetesObject[] {
  return objects.filter((object) => object.kind === kind);
}

/** The one of a kind. @throws Error when there is none, or more than one */
export function theOne(objects: readonly KubernetesObject[], kind: string): KubernetesObject {
  const found = ofKind(objects, kind);
  if (found.length !== 1) throw new Error(`${found.length} of ${kind}: ${found.map(({ metadata }) => metadata.name)}`);
  return found[0] as KubernetesObject;
}

/** What is at a path of an object, as `spec.template.spec.containers.0.env`, or by keys where one has a dot; undefined where the path ends early. */
export function at(object: unknown, path: string | readonly string[]): unknown {
  const keys = typeof path === 'string' ? path.split('.') : path;
  return keys.reduce<unknown>((value, key) => {
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  }, object);
}

/** Paths of leaves that an object should have, and that another has not or has otherwise. */
export function missing(given: unknown, made: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof given !== 'object' || given === null) return Object.is(given, made) ? [] : [path];
  const entries = Object.entries(given);
  if (entries.length === 0) return JSON.stringify(given) === JSON.stringify(made) ? [] : [path];
  return entries.flatMap(([key, value]) => missing(value, at(made, [key]), [...path, key]));
}

/** A pod template. */
export interface PodTemplate {
  readonly metadata: { readonly labels: Record<string, string>; readonly annotations?: Record<string, string> };
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly containers: readonly (Readonly<Record<string, unknown>> & {
      readonly env: readonly { readonly name: string; readonly value?: string }[];
    })[];
  };
}

/** The pod template of a service's Deployment or StatefulSet. */
export function podTemplateOf(objects: readonly KubernetesObject[]): PodTemplate {
  const workload = objects.find(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
  return at(workload, 'spec.template') as PodTemplate;
}
