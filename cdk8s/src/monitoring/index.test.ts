import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { messageOf, until } from '@mercato/operator/api/testing.ts';
import { expect } from 'chai';
import { parse } from 'yaml';
import { type KubernetesObject, render, renderTemplates } from '../backends/render.ts';
import { templateOf } from '../backends/template.ts';
import { type Overrides, valuesOf } from '../backends/values.ts';
import { type ChartDefinition, defineChart } from '../charts/chart.ts';
import { type ServiceValues, serviceSchema } from '../charts/service-values.ts';
import { serviceOf } from '../model/derive.ts';
import { mercato } from '../model/mercato.ts';
import { at, ofKind, theOne } from '../testing/rendered.ts';
import { monitoring } from './index.ts';

/** CustomResourceDefinitions as the Prometheus operator publishes them. They are not part of this repository. */
const SCHEMAS = process.env['MERCATO_SCHEMAS'] ?? join(import.meta.dirname, '../../../../shared/schemas/crds');

/** A chart with nothing in it but what watches over a service. */
function chartOf(name: string): ChartDefinition {
  const service = serviceOf(mercato, name);
  return defineChart({
    name,
    description: service.description,
    values: serviceSchema(service),
    render: (scope, values) =>
      monitoring(scope, { model: mercato, service, values: values as unknown as ServiceValues }),
  }) as unknown as ChartDefinition;
}

function made(name: string, global: Overrides = { monitoring: { enabled: true } }): KubernetesObject[] {
  const chart = chartOf(name);
  return render(chart, valuesOf(chart, { global }));
}

describe('Monitoring', () => {
  it('is not there until it is asked for, and never for simulated companies', () => {
    expect(made('inventory', {})).to.deep.equal([]);
    expect(made('acquirer')).to.deep.equal([]);
  });

  it('watches AWS queues only where AWS is', () => {
    const rules = (aws: boolean) =>
      ofKind(made('inventory', { monitoring: { enabled: true }, aws: { enabled: aws } }), 'PrometheusRule');
    expect(rules(false).map(({ metadata }) => metadata.name)).to.deep.equal(['inventory']);
    expect(rules(true).map(({ metadata }) => metadata.name)).to.deep.equal(['inventory', 'inventory-queues']);
    expect(JSON.stringify(rules(true)[1])).to.include('mercato-production-inventory-events-dead-letter');
  });

  it('scrapes the port that a service has, under the job that its alerts ask for', () => {
    const monitor = theOne(made('mercato-operator'), 'ServiceMonitor');
    expect(at(monitor, 'metadata.namespace')).to.equal('mercato-system');
    expect(at(monitor, 'spec.selector.matchLabels')).to.deep.equal({ 'app.kubernetes.io/name': 'mercato-operator' });
    expect(at(monitor, 'spec.endpoints.0')).to.deep.include({
      port: 'http',
      honorLabels: true,
      relabelings: [{ action: 'replace', targetLabel: 'job', replacement: 'mercato/mercato-operator' }],
    });
  });

  it('asks for the volume in the namespace of the installation, and says where its runbooks are', () => {
    const global = {
      monitoring: { enabled: true, runbooks: 'https://wiki/runbooks' },
      namespaces: { card: 'cards' },
    };
    const text = JSON.stringify(theOne(made('payment', global), 'PrometheusRule'));
    expect(text).to.include('persistentvolumeclaim=~\\"data-payment-[0-9]+\\",namespace=\\"cards\\"');
    expect(text).to.include('"runbook_url":"https://wiki/runbooks/volume-almost-full.md"');
  });

  it('keeps what Prometheus and Grafana fill in out of the hands of Helm', () => {
    const texts = renderTemplates(chartOf('inventory')).map(templateOf).join('');
    expect(texts).to.include('{{ "{{" }} $labels.namespace }}').and.to.include('{{ "{{" }}namespace}}');
    expect(texts.replaceAll('{{ "{{" }}', '')).not.to.match(/\{\{ ?(\$|namespace)/);
  });
});

describe("The Prometheus operator's own definitions", () => {
  const files = ['prometheusrules', 'servicemonitors'].map((plural) =>
    join(SCHEMAS, `monitoring.coreos.com_${plural}.yaml`),
  );
  const objects = mercato.services.flatMap(({ name }) =>
    made(name, { monitoring: { enabled: true }, aws: { enabled: true } }),
  );
  const theirs = objects.filter(({ apiVersion }) => apiVersion === 'monitoring.coreos.com/v1');
  const found = files.every(existsSync);

  it('are those that rules and monitors are of', () => {
    expect(new Set(theirs.map(({ kind }) => kind))).to.deep.equal(new Set(['ServiceMonitor', 'PrometheusRule']));
    if (!found)
      process.stdout.write(`    not validated: ${SCHEMAS} is not there (MERCATO_SCHEMAS names another folder)\n`);
  });

  // Without the definitions there is nothing to ask, and the test above has said so.
  if (!found) return;

  let plane: ControlPlane;
  let namespace: string;

  before(async function () {
    this.timeout(180_000);
    plane = await sharedControlPlane();
    for (const file of files) {
      const definition = parse(readFileSync(file, 'utf8')) as KubernetesObject;
      const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${definition.metadata.name}`;
      const answer = await plane.request(`${path}?fieldManager=monitoring-test&force=true`, {
        method: 'PATCH',
        contentType: 'application/apply-patch+yaml',
        body: definition,
      });
      if (answer.status >= 300) throw new Error(`${file}: ${messageOf(answer)}`);
    }
    for (const plural of ['prometheusrules', 'servicemonitors'])
      await until(
        `${plural} are served`,
        async () => (await plane.request(`/apis/monitoring.coreos.com/v1/${plural}`)).status === 200,
      );
    namespace = await uniqueNamespace(plane, 'monitoring');
  });

  const create = (object: KubernetesObject) =>
    plane.request(
      `/apis/monitoring.coreos.com/v1/namespaces/${namespace}/${object.kind.toLowerCase()}s?dryRun=All&fieldValidation=Strict`,
      {
        method: 'POST',
        body: { ...object, metadata: { ...object.metadata, namespace } },
      },
    );

  for (const object of theirs)
    it(`take the ${object.kind} ${object.metadata.name} as it is, and drop nothing of it`, async () => {
      const answer = await create(object);
      expect(answer.status, messageOf(answer)).to.equal(201);
      expect((answer.body as KubernetesObject)['spec']).to.deep.equal(object['spec']);
    });

  it('refuse what is wrong', async () => {
    const rule = theirs.find(({ kind }) => kind === 'PrometheusRule') as KubernetesObject;
    const answer = await create({ ...rule, spec: { groups: [{ name: 'x', rules: [{ alert: 'X' }] }] } });
    expect(answer.status).to.equal(422);
  });
});
