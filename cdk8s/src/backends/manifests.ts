import type { Static, TObject } from '@sinclair/typebox';
import type { ChartDefinition } from '../charts/chart.ts';
import type { Packaged } from './charts.ts';
import { type KubernetesObject, render } from './render.ts';
import { yamlOf } from './template.ts';
import { merge, type Overrides, valuesOf } from './values.ts';

/**
 * The objects of a chart and of those that it brings along, as Helm installs them with these values.
 * @throws ValuesError
 */
export function objectsOf({ definition, dependencies }: Packaged, overrides: Overrides): KubernetesObject[] {
  const values = valuesOf(definition, overrides) as Static<TObject> & Record<string, unknown>;
  return [
    ...render(definition, values),
    ...dependencies.flatMap((dependency) => dependencyObjects(dependency, values)),
  ];
}

function dependencyObjects(dependency: ChartDefinition, values: Record<string, unknown>): KubernetesObject[] {
  const own = (values[dependency.name] ?? {}) as Overrides;
  if (own['enabled'] === false) return [];
  // The parent's globals win, as they do in Helm.
  const overrides = 'global' in dependency.values.properties ? merge(own, { global: values['global'] }) : own;
  return render(dependency, valuesOf(dependency, overrides as Overrides));
}

/** Objects as one stream of YAML documents. */
export function manifestOf(objects: readonly KubernetesObject[]): string {
  return objects.map((object) => `---\n${yamlOf(object)}`).join('');
}
