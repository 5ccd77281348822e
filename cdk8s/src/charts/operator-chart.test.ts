import { JOURNALS, parseOptions } from '@mercato/operator/options.ts';
import { expect } from 'chai';
import { type KubernetesObject, render } from '../backends/render.ts';
import { type Overrides, ValuesError, valuesOf } from '../backends/values.ts';
import { mercato } from '../model/mercato.ts';
import { at, ofKind, podTemplateOf, theOne } from '../testing/rendered.ts';
import { operatorChart } from './operator-chart.ts';

const chart = operatorChart(mercato);
const AWS = { enabled: true, identity: 'pod-identity', region: 'eu-west-2', accountId: '123456789012' };
const OVER_BUS = { ...AWS, eventBus: true };

const objectsWith = (overrides: Overrides): KubernetesObject[] => render(chart, valuesOf(chart, overrides));
const named = (objects: readonly KubernetesObject[], name: string) =>
  objects.filter(({ metadata }) => metadata.name === name);
const isAcks = ({ apiVersion }: KubernetesObject) => apiVersion.includes('services.k8s.aws');

/** What the program makes of what the chart tells it. @throws UsageError where it would not start */
function optionsOf(objects: readonly KubernetesObject[], name: string) {
  const [container] = podTemplateOf(named(objects, name)).spec.containers;
  const env = Object.fromEntries((container?.env ?? []).map((each) => [each.name, each.value]));
  const [, ...flags] = (container?.['args'] ?? []) as string[];
  const options = parseOptions(flags, env);
  if (options === 'help') throw new Error('no help here');
  return options;
}

/** Whom the address that orders come in by leads to. */
const behindIntake = (objects: readonly KubernetesObject[]): unknown =>
  at(theOne(named(objects, 'mercato-intake'), 'Service'), ['spec', 'selector', 'app.kubernetes.io/name']);

describe("the operator's chart", () => {
  it('runs replicas with the kubernetes journal, and declares nothing in AWS', () => {
    const objects = objectsWith({ global: { aws: AWS } });
    expect(ofKind(objects, 'Deployment').map(({ metadata }) => metadata.name)).to.deep.equal(['mercato-operator']);
    expect(ofKind(objects, 'StatefulSet')).to.be.empty;
    expect(objects.filter(isAcks)).to.be.empty;
    expect(behindIntake(objects)).to.equal('mercato-operator');
    expect(optionsOf(objects, 'mercato-operator')).to.include({ journal: 'kubernetes', role: 'all' });
  });

  it('runs one pod with a volume with the sqlite journal, with the resources of a worker and no budget', () => {
    const objects = objectsWith({ journal: 'sqlite', global: { aws: AWS } });
    expect(ofKind(objects, 'Deployment')).to.be.empty;
    expect(ofKind(objects, 'PodDisruptionBudget')).to.be.empty;
    const set = theOne(objects, 'StatefulSet');
    expect(at(set, 'spec.replicas')).to.equal(1);
    expect(at(set, 'spec.volumeClaimTemplates.0.spec.resources.requests.storage')).to.equal('20Gi');
    expect(podTemplateOf(objects).spec.containers[0]?.['resources']).to.deep.equal({
      requests: { cpu: '1', memory: '1536Mi' },
      limits: { memory: '1536Mi' },
    });
    expect(objects.filter(isAcks)).to.be.empty;
    expect(behindIntake(objects)).to.equal('mercato-operator');
    expect(optionsOf(objects, 'mercato-operator')).to.include({ journal: 'sqlite', journalPath: '/data/journal.db' });
  });

  it('runs controllers and workers with the dynamodb journal: workers take orders in, controllers do not', () => {
    const objects = objectsWith({ journal: 'dynamodb', global: { aws: AWS } });
    expect(ofKind(objects, 'Deployment').map(({ metadata }) => metadata.name)).to.have.members([
      'mercato-operator',
      'mercato-worker',
    ]);
    expect(behindIntake(objects)).to.equal('mercato-worker');
    const journalTable = 'mercato-production-saga-journal';
    const controllers = optionsOf(objects, 'mercato-operator');
    expect(controllers).to.include({ journal: 'dynamodb', journalTable, role: 'controllers' });
    expect(controllers).not.to.have.any.keys('intakeAddress', 'intakeQueue');
    expect(controllers.announceTo).to.be.empty;
    const worker = optionsOf(objects, 'mercato-worker');
    expect(worker).to.include({
      journal: 'dynamodb',
      journalTable,
      role: 'worker',
      intakeQueue: 'https://sqs.eu-west-2.amazonaws.com/123456789012/mercato-production-orders',
    });
    expect(worker.intakeAddress).to.deep.equal({ host: '0.0.0.0', port: 8090 });
    expect(worker.intakeSubjects).to.deep.equal(['system:serviceaccount:mercato-shop:order']);
    expect(worker.announceTo).to.deep.equal(['http://order.mercato-shop.svc:8080/events']);
    expect(at(theOne(ofKind(objects, 'Table'), 'Table'), 'spec.tableName')).to.equal(journalTable);
  });

  it('scales workers on the depth of their queue where KEDA and AWS are there, else on their processor', () => {
    const triggers = (global: object) =>
      at(
        theOne(named(objectsWith({ journal: 'dynamodb', global }), 'mercato-worker'), 'ScaledObject'),
        'spec.triggers',
      ) as { readonly type: string }[];
    const types = (global: object) => triggers(global).map(({ type }) => type);
    expect(types({ autoscaler: 'keda', aws: OVER_BUS })).to.deep.equal(['cpu', 'memory', 'aws-sqs-queue']);
    // Orders come over HTTP: the queue is always empty.
    expect(types({ autoscaler: 'keda', aws: AWS })).to.deep.equal(['cpu', 'memory']);
    expect(types({ autoscaler: 'keda', aws: { ...OVER_BUS, enabled: false } })).to.deep.equal(['cpu', 'memory']);
    const without = named(objectsWith({ journal: 'dynamodb' }), 'mercato-worker');
    expect(ofKind(without, 'HorizontalPodAutoscaler')).to.have.length(1);
    expect(at(theOne(without, 'Deployment'), 'spec')).not.to.have.property('replicas');
  });

  it('scales each workload by exactly one scaler, and the operator itself by none', () => {
    for (const autoscaler of ['hpa', 'keda'])
      for (const aws of [AWS, OVER_BUS, { enabled: false }])
        for (const journal of JOURNALS.filter((each) => each === 'dynamodb' || aws !== OVER_BUS)) {
          const objects = objectsWith({ journal, global: { autoscaler, aws } });
          const scalers = objects.filter(({ kind }) => ['HorizontalPodAutoscaler', 'ScaledObject'].includes(kind));
          expect(scalers.map((each) => at(each, 'spec.scaleTargetRef.name'))).to.deep.equal(
            journal === 'dynamodb' ? ['mercato-worker'] : [],
          );
        }
  });

  it('tells the order service by one way: straight, or over the bus that is declared or named', () => {
    const worker = (aws: object, more: Overrides = {}) =>
      optionsOf(objectsWith({ journal: 'dynamodb', global: { aws }, ...more }), 'mercato-worker');
    const overHttp = worker(AWS, { announceBus: 'theirs' });
    expect(overHttp.announceTo).to.deep.equal(['http://order.mercato-shop.svc:8080/events']);
    expect(overHttp).not.to.have.any.keys('announceBus');
    const overBus = worker(OVER_BUS);
    expect(overBus.announceTo).to.deep.equal([]);
    expect(overBus.announceBus).to.equal('mercato-production');
    const theirs = { intakeQueue: 'https://sqs.example/1/theirs', announceBus: 'theirs', journalTable: 'their-runs' };
    expect(worker(OVER_BUS, theirs)).to.include(theirs);
    expect(
      optionsOf(objectsWith({ journal: 'dynamodb', global: { aws: OVER_BUS } }), 'mercato-operator'),
    ).not.to.have.any.keys('announceBus');
  });

  it('lets workers, and not controllers, put what becomes of runs on the bus', () => {
    const roles = ofKind(objectsWith({ journal: 'dynamodb', global: { aws: OVER_BUS } }), 'Role').filter(isAcks);
    const puts = roles.filter((role) => JSON.stringify(role).includes('events:PutEvents'));
    expect(puts.map(({ metadata }) => metadata.name)).to.deep.equal(['mercato-worker']);
  });

  it('refuses the bus, and queues of commands, with a journal that no worker has', () => {
    for (const journal of ['kubernetes', 'sqlite'])
      for (const what of ['eventBus', 'commandQueues'])
        expect(() => objectsWith({ journal, global: { aws: { ...AWS, [what]: true } } })).to.throw(
          ValuesError,
          `global.aws.${what}`,
        );
  });

  it('alerts on the volume that it has with the sqlite journal, and on none with others', () => {
    const alerts = (journal: string) =>
      ofKind(objectsWith({ journal, global: { monitoring: { enabled: true } } }), 'PrometheusRule')
        .flatMap((rule) => at(rule, 'spec.groups') as { rules: { alert?: string; expr: string }[] }[])
        .flatMap(({ rules }) => rules)
        .filter(({ alert }) => alert?.startsWith('Volume'));
    expect(alerts('sqlite').map(({ alert }) => alert)).to.deep.equal(['VolumeAlmostFull', 'VolumeFillingUp']);
    for (const { expr } of alerts('sqlite'))
      expect(expr).to.include('persistentvolumeclaim=~"data-mercato-operator-[0-9]+",namespace="mercato-system"');
    for (const journal of ['kubernetes', 'dynamodb']) expect(alerts(journal)).to.deep.equal([]);
  });

  it('sends traces from every process that drives runs, and none from the job before an uninstall', () => {
    const global = { tracing: { enabled: true, endpoint: 'http://collector.a.svc:4318' } };
    const objects = objectsWith({ journal: 'dynamodb', global });
    for (const name of ['mercato-operator', 'mercato-worker']) {
      const env = podTemplateOf(named(objects, name)).spec.containers[0]?.env ?? [];
      expect(env).to.deep.include({ name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: 'http://collector.a.svc:4318' });
      expect(named(objects, `${name}-to-collector`)).to.have.length(1);
    }
    const hooks = render(
      { ...chart, render: (scope, values) => chart.hooks?.(scope, values) },
      valuesOf(chart, { global }),
    );
    expect(JSON.stringify(hooks))
      .to.include('drain')
      .and.not.match(/OTEL_|to-collector/);
  });

  it('takes no orders in where there is no order service', () => {
    for (const [journal, name] of [
      ['kubernetes', 'mercato-operator'],
      ['sqlite', 'mercato-operator'],
      ['dynamodb', 'mercato-worker'],
    ] as const) {
      const options = optionsOf(objectsWith({ journal, orders: false, global: { aws: AWS } }), name);
      expect(options, journal).not.to.have.any.keys('intakeAddress', 'intakeQueue');
      expect(options.announceTo, journal).to.be.empty;
    }
  });
});
