import type { Service } from '../../model/types.ts';
import { boardsOf } from '../dashboards/index.ts';
import { queueGroups, ruleGroups } from '../rules.ts';

/** All PromQL about a service: of its rules and its dashboards, each with where it stands. */
export function expressionsOf(service: Service): { where: string; expr: string }[] {
  const place = { namespace: 'here', runbooks: 'https://runbooks' };
  const groups = [...ruleGroups(service, place), ...queueGroups(service, place, ({ name }) => name)];
  const rules = groups.flatMap(({ rules }) =>
    rules.map(({ alert, record, expr }) => ({ where: `${service.name}: ${alert ?? record}`, expr })),
  );
  const panels = [...boardsOf(service).values()].flatMap(({ title, rows }) =>
    rows.flat().flatMap((panel) => panel.queries.map(({ expr }) => ({ where: `${title}: ${panel.title}`, expr }))),
  );
  return [...rules, ...panels];
}
