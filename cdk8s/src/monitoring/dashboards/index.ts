import type { Service } from '../../model/types.ts';
import { boundaryBoard } from './boundary.ts';
import { ordersBoard } from './orders.ts';
import { type Board, grafana } from './panel.ts';
import { serviceBoard } from './service.ts';

/** A service's dashboards by the name of the ConfigMap that brings each to Grafana. */
export function boardsOf(service: Service): Map<string, Board> {
  const boards = new Map<string, Board>();
  const own = serviceBoard(service);
  if (own !== undefined) boards.set(`${service.name}-dashboard`, own);
  if (service.name === 'mercato-operator') boards.set('mercato-orders-dashboard', ordersBoard(service));
  if (service.name === 'mercato-boundary') boards.set('mercato-pci-boundary-dashboard', boundaryBoard(service));
  return boards;
}

/** The same as Grafana's JSON. */
export const dashboardsOf = (service: Service): [name: string, dashboard: object][] =>
  [...boardsOf(service)].map(([name, board]) => [name, grafana(board)]);
