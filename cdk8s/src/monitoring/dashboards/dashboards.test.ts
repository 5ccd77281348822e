import { expect } from 'chai';
import { mercato } from '../../model/mercato.ts';
import { dashboardsOf } from './index.ts';

interface Panel {
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
}
type Dashboard = { readonly uid: string; readonly panels: readonly Panel[] };

const dashboards = mercato.services
  .filter(({ component }) => component !== 'simulator')
  .flatMap((service) => dashboardsOf(service) as [string, Dashboard][]);

describe('Dashboards', () => {
  it('are there for each service, for the orders and for the boundary', () => {
    expect(dashboards.map(([name]) => name).sort()).to.deep.equal([
      'inventory-dashboard',
      'mercato-boundary-dashboard',
      'mercato-operator-dashboard',
      'mercato-orders-dashboard',
      'mercato-pci-boundary-dashboard',
      'order-dashboard',
      'payment-dashboard',
      'shipping-dashboard',
    ]);
  });

  it('have ids of their own, short enough for Grafana', () => {
    const uids = dashboards.map(([, { uid }]) => uid);
    expect(new Set(uids)).to.have.property('size', uids.length);
    for (const uid of uids) expect(uid).to.match(/^[-a-z0-9]{1,40}$/);
  });

  it('show every panel whole: none lies over another or over the edge', () => {
    for (const [name, { panels }] of dashboards) {
      const cells = panels.flatMap(({ title, gridPos: { x, y, w, h } }) => {
        expect(x + w, `${name}: ${title}`).to.be.at.most(24);
        return Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`);
      });
      expect(new Set(cells), name).to.have.property('size', cells.length);
    }
  });

  it('are the same text each time, and small', () => {
    for (const service of mercato.services)
      expect(JSON.stringify(dashboardsOf(service))).to.equal(JSON.stringify(dashboardsOf(service)));
    for (const [name, dashboard] of dashboards) expect(JSON.stringify(dashboard).length, name).to.be.below(16_384);
  });
});
