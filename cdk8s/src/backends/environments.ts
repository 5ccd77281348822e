import { stringify } from 'yaml';
import type { EnvironmentValues } from '../model/environments.ts';
import { GENERATED, type Packaged } from './charts.ts';
import type { Overrides } from './values.ts';

/** What one chart is told in an environment. The umbrella, which brings others along, is told what they are. */
export function overridesOf({ definition, dependencies }: Packaged, environment: EnvironmentValues): Overrides {
  const own = environment.charts[definition.name] ?? {};
  const theirs = Object.fromEntries(
    dependencies
      .map(({ name }) => [name, environment.charts[name]] as const)
      .filter(([, values]) => values !== undefined),
  );
  const takesGlobal = 'global' in (definition.values.properties as object);
  return { ...(takesGlobal && { global: environment.global }), ...own, ...theirs };
}

/** The values file of a chart for an environment. */
export function valuesFile(packaged: Packaged, environment: EnvironmentValues): string {
  const overrides = overridesOf(packaged, environment);
  return `# ${GENERATED}\n# ${environment.description}.\n${stringify(overrides, { lineWidth: 0 })}`;
}
