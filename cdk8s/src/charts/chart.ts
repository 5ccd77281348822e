import type { Static, TObject } from '@sinclair/typebox';
import type { Scope } from '../constructs/scope.ts';

/** Version of every chart, and of the images that it installs. */
export const VERSION = '0.1.0';

/** A chart: what it may be told, and what it makes of it. One render function serves both back ends. */
export interface ChartDefinition<Values extends TObject = TObject> {
  readonly name: string;
  readonly description: string;
  readonly values: Values;
  /** Adds the chart's objects. Called with an installation's values, or with holes in their place. */
  render(scope: Scope, values: Static<Values>): void;
  /**
   * Adds the objects of its Helm hooks, under the same rule. Helm alone makes them, at their event, and takes them away afterwards; the manifests are
   * without.
   * @default none
   */
  hooks?(scope: Scope, values: Static<Values>): void;
}

/** Keeps the types of what it is given. */
export function defineChart<Values extends TObject>(definition: ChartDefinition<Values>): ChartDefinition<Values> {
  return definition;
}
