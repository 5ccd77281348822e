import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Service } from '../model/types.ts';
import { search, withSearch } from '../testing/added.ts';
import { runbookOf } from './alert.ts';
import { boardsOf } from './dashboards/index.ts';
import { indicatorsOf } from './indicators.ts';
import { queueGroups, ruleGroups } from './rules.ts';
import { exportedBy, TARGET_LABELS, WELL_KNOWN } from './testing/exported.ts';
import { expressionsOf } from './testing/expressions.ts';
import { parse } from './testing/promql.ts';

const place = { namespace: 'here', runbooks: 'https://runbooks' };
const watched = withSearch.services.filter(({ component }) => component !== 'simulator');

const groupsOf = (service: Service) => [
  ...ruleGroups(service, place),
  ...queueGroups(service, place, ({ name }) => name),
];
const rulesOf = (service: Service) => groupsOf(service).flatMap(({ rules }) => rules);
const isRecorded = (metric: string): boolean => metric.startsWith('mercato:');

describe('Rules and dashboards', () => {
  it('are PromQL, all of them', () => {
    expect(() => parse('sum by (a) (')).to.throw('no PromQL');
    for (const { where, expr } of watched.flatMap(expressionsOf)) expect(() => parse(expr), where).not.to.throw();
  });

  for (const service of watched)
    it(`of ${service.name} ask only for metrics and labels that its program exports`, () => {
      const exported = new Map([...WELL_KNOWN, ...exportedBy(service)]);
      for (const { where, expr } of expressionsOf(service)) {
        const { selected, grouped } = parse(expr);
        const ours = selected.filter(({ metric }) => !isRecorded(metric));
        for (const { metric, labels } of ours) {
          const found = exported.get(metric);
          expect(found, `${where}: ${metric}`).not.to.equal(undefined);
          expect([...(found?.labels ?? []), ...TARGET_LABELS], `${where}: ${metric}`).to.include.members([...labels]);
        }
        const known = ours.flatMap(({ metric }) => exported.get(metric)?.labels ?? []);
        expect([...known, ...TARGET_LABELS], where).to.include.members([...grouped]);
      }
    });

  it('refer to recorded series only where they are recorded, by the same name and labels', () => {
    for (const service of watched) {
      const recorded = rulesOf(service).flatMap(({ record, labels }) =>
        record === undefined ? [] : [`${record}{service="${labels['service']}",objective="${labels['objective']}"}`],
      );
      const used = expressionsOf(service).flatMap(({ expr }) => [...expr.matchAll(/mercato:\w+:\w+\{[^}]*\}/g)].flat());
      expect(recorded, service.name).to.include.members(used);
    }
  });

  it('have latency objectives that are bounds of the histogram they are measured with', () => {
    for (const service of watched.filter(({ partOf }) => partOf === undefined)) {
      const histogram = indicatorsOf(service)?.histogram as string;
      expect(exportedBy(service).get(`${histogram}_bucket`)?.bounds, service.name).to.include(
        service.objective.latency.milliseconds / 1000,
      );
    }
  });

  it('follow for a service that is added to the model', () => {
    const names = rulesOf(search).flatMap(({ alert }) => alert ?? []);
    expect(names).to.include.members(['ServiceDown', 'ErrorBudgetBurnFast', 'LatencyBudgetBurnSlow', 'DeadLetters']);
    expect(names).not.to.include('VolumeAlmostFull');
    expect([...boardsOf(search).keys()]).to.deep.equal(['search-dashboard']);
  });
});

describe('The reference of metrics', () => {
  it('names all that services and the boundary’s controller export, and nothing of theirs that they do not', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/reference/metrics.md'), 'utf8');
    const written = new Set([...page.matchAll(/`([a-z_]+)`/g)].map(([, name]) => name));
    const ours = (service: Service) =>
      [...exportedBy(service).keys()]
        .map((name) => name.replace(/_(bucket|sum|count)$/, ''))
        .filter((name) => /^mercato_(commands?|http|store|outbox|inbox|boundary)_/.test(name));
    const exported = new Set(watched.flatMap(ours));
    expect([...written]).to.include.members([...exported]);
    expect([...written].filter((name) => name?.startsWith('mercato_boundary_') && !exported.has(name))).to.deep.equal(
      [],
    );
  });
});

describe('Alerts', () => {
  it('have a name of their own within a service, a severity, and the service in their labels', () => {
    for (const service of watched) {
      const alerts = rulesOf(service).filter(({ alert }) => alert !== undefined);
      expect(new Set(alerts.map(({ alert }) => alert))).to.have.property('size', alerts.length);
      for (const { alert, labels } of alerts) {
        expect(labels, alert).to.have.property('service', service.name);
        expect(['page', 'ticket'], alert).to.include(labels['severity']);
      }
    }
  });

  it('name in their texts only labels that their result has', () => {
    for (const service of watched)
      for (const { alert, expr, annotations } of rulesOf(service)) {
        const { grouped, selected } = parse(expr);
        // Without a grouping, a result has all labels of the series.
        const left = grouped.length > 0 ? grouped : [...TARGET_LABELS, ...selected.flatMap(({ labels }) => labels)];
        const texts = Object.values(annotations ?? {}).join(' ');
        const told = [...texts.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label);
        expect(left, `${service.name}: ${alert}`).to.include.members(told);
      }
  });

  it('say where their runbook is', () => {
    expect(runbookOf('BoundaryNotEnforced')).to.equal('boundary-not-enforced.md');
    const [rule] = rulesOf(search).filter(({ alert }) => alert === 'ServiceDown');
    expect(rule?.annotations?.['runbook_url']).to.equal('https://runbooks/service-down.md');
  });
});
