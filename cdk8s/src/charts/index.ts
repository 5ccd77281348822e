import type { Packaged } from '../backends/charts.ts';
import type { Model } from '../model/types.ts';
import { awsChart } from './aws-chart.ts';
import { boundaryChart } from './boundary-chart.ts';
import { crdsChart } from './crds-chart.ts';
import { operatorChart } from './operator-chart.ts';
import { serviceChart } from './service-chart.ts';
import { shopChart } from './shop-chart.ts';
import { umbrella } from './umbrella-chart.ts';

/** Every chart of a model, those first that the others need. */
export function packagesOf(model: Model): Packaged[] {
  const services = model.services
    .filter(({ component }) => component !== 'controller')
    .map((service) => serviceChart(model, service));
  const parts = [awsChart(model), operatorChart(model), boundaryChart(model), ...services, shopChart(model)];
  const alone = [crdsChart, ...parts].map((definition) => ({ definition, dependencies: [] }));
  return [...alone, umbrella(model, parts)];
}
