import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { answersOf, commandsOf, queueUrl } from '../aws/names.ts';
import { addressOf, namespaceOf, overQueues } from '../constructs/context.ts';
import type { Manifest, Scope } from '../constructs/scope.ts';
import { not } from '../holes/index.ts';
import { portOf, serviceOf } from '../model/derive.ts';
import type { Model, Service } from '../model/types.ts';
import { type ChartDefinition, defineChart } from './chart.ts';
import { type GlobalValues, globalSchema } from './global.ts';
import { boolean, group } from './schema.ts';

const EXAMPLES = join(import.meta.dirname, '../../../examples');

/** A resource of ours as the examples have it. */
interface Example extends Manifest {
  readonly spec: Readonly<Record<string, unknown>>;
}

/** The shop's sagas, by name, as files of examples/. A new one is a file there and a line here. */
const SAGAS: Readonly<Record<string, string>> = { checkout: 'ordersaga-checkout.yaml' };

/**
 * The chart of the shop's own resources: who carries out commands, and the sagas of which these are a part. They are those of examples/, so that what
 * the documents show, what `make demo` runs and what an installation gets is one. Warehouses are the business's, and no chart's.
 */
export function shopChart(model: Model): ChartDefinition {
  return defineChart({
    name: 'mercato-shop',
    description: 'The shop: its sagas, and the participants that carry out their commands',
    values: group('Values of mercato-shop', {
      global: globalSchema,
      enabled: boolean('Whether the umbrella chart installs it', true),
      sagas: group(
        'Which sagas there are. One that is switched off takes no new orders; what is in flight goes on to its end',
        Object.fromEntries(Object.keys(SAGAS).map((name) => [name, boolean(`The saga ${name}`, true)])),
      ),
    }),
    render(scope, { global, sagas }) {
      for (const participant of examplesIn('in-cluster/participants.yaml'))
        participantOf(scope, serviceOf(model, participant.metadata.name), participant, global);
      for (const [name, file] of Object.entries(SAGAS))
        scope.when(sagas[name] as boolean, (inner) => {
          for (const saga of examplesIn(file)) inner.add(placed(saga, global));
        });
    },
  });
}

/** A participant, behind its queue where commands go over queues. */
function participantOf(scope: Scope, service: Service, example: Example, global: GlobalValues): void {
  const { service: _, url: __, ...spec } = example.spec;
  const place = placeOf(service, global);
  const overHttp = { ...example, spec: { ...place, ...spec } };
  if (service.commands === undefined) {
    scope.add(placed(overHttp, global));
    return;
  }
  // A queue takes messages one by one.
  const { batch: ___, ...single } = spec;
  const queue = { url: queueUrl(global, commandsOf(service)), answersUrl: queueUrl(global, answersOf(service)) };
  const so = overQueues(global);
  scope.when(not(so), (inner) => void inner.add(placed(overHttp, global)));
  scope.when(so, (inner) => void inner.add(placed({ ...example, spec: { queue, ...single } }, global)));
}

/** A reference by name stays in the namespace, so a participant elsewhere is known by its address. */
function placeOf(service: Service, global: GlobalValues): object {
  return service.zone === 'shop'
    ? { service: { name: service.name, port: portOf(service) } }
    : { url: addressOf(service, global) };
}

function placed(example: Example, global: GlobalValues): Manifest {
  const labels = { 'app.kubernetes.io/part-of': 'mercato' };
  return {
    ...example,
    metadata: { ...example.metadata, namespace: namespaceOf('shop', global), labels },
  };
}

function examplesIn(file: string): Example[] {
  return parseAllDocuments(readFileSync(join(EXAMPLES, file), 'utf8')).map((document) => document.toJS() as Example);
}
