import { Type } from '@sinclair/typebox';
import type { Packaged } from '../backends/charts.ts';
import { namespace } from '../constructs/namespace.ts';
import { any } from '../holes/index.ts';
import { inZone } from '../model/derive.ts';
import type { Model } from '../model/types.ts';
import { type ChartDefinition, defineChart } from './chart.ts';
import { globalSchema } from './global.ts';
import { boolean, group } from './schema.ts';

/** What the umbrella is told of a chart that it brings along: whether it is there, and whatever that chart's own schema takes. */
const partSchema = ({ name }: ChartDefinition) =>
  Type.Object(
    { enabled: boolean(`Whether ${name} is installed`, true) },
    { description: `Values of ${name}: charts/${name}/README.md`, additionalProperties: true },
  );

/**
 * The umbrella: everything but the kinds, in one release, and the namespaces of its parts. The release's own namespace is there before it; that of card
 * data comes with the boundary's chart.
 */
export function umbrella(model: Model, parts: readonly ChartDefinition[]): Packaged {
  const definition = defineChart({
    name: 'mercato',
    description: 'The whole shop in one release. Install mercato-crds before it',
    values: group('Values of mercato', {
      global: globalSchema,
      namespaces: boolean('Whether it makes the namespaces of its parts', true),
      ...Object.fromEntries(parts.map((part) => [part.name, partSchema(part)])),
    }),
    render(scope, { global, namespaces, ...told }) {
      const enabled = told as unknown as Readonly<Record<string, { readonly enabled: boolean }>>;
      const simulates = any(...inZone(model, 'simulators').map(({ name }) => enabled[name]?.enabled ?? false));
      scope.when(namespaces as boolean, (inner) => {
        for (const zone of ['shop', 'boundary'] as const) namespace(inner, zone, global);
        inner.when(simulates, (simulated) => namespace(simulated, 'simulators', global));
      });
    },
  });
  return { definition, dependencies: parts };
}
