import type { Packaged } from '../backends/charts.ts';
import type { Model } from '../model/types.ts';
import { serviceChart } from './service-chart.ts';

/** Every chart of a model, those first that the others need. */
export function packagesOf(model: Model): Packaged[] {
  const services = model.services
    .filter(({ component }) => component !== 'controller')
    .map((service) => ({ definition: serviceChart(model, service), dependencies: [] }));
  return [...services];
}
