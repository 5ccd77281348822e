import type { Service } from '../../model/types.ts';
import { of } from '../indicators.ts';
import type { Board, Panel } from './panel.ts';

/** The PCI boundary: whether it holds, what is wrong, what was put back. */
export function boundaryBoard(service: Service): Board {
  const metric = (name: string, matchers?: string) => of(service, name, matchers);
  const condition = (type: string, title: string, description: string): Panel => ({
    title,
    description,
    type: 'stat',
    unit: 'short',
    limit: { value: 1, below: true },
    queries: [
      {
        expr: `max by (boundary) (${metric('mercato_boundary_condition', `type="${type}",status="True"`)})`,
        legend: '{{boundary}}',
      },
    ],
  });
  return {
    uid: 'mercato-pci-boundary',
    title: 'Mercato / PCI boundary',
    description: 'What may reach the card namespaces, kept and proven.',
    rows: [
      [
        condition('Enforced', 'Enforced', '1: probes found the network as the policies say.'),
        condition('Compliant', 'Compliant', '1: nothing opens the card namespaces.'),
        {
          title: 'Since the last probes',
          type: 'stat',
          unit: 's',
          limit: { value: 3600 },
          queries: [
            {
              expr: `time() - max by (boundary) (${metric('mercato_boundary_probe_timestamp_seconds')})`,
              legend: '{{boundary}}',
            },
          ],
        },
        {
          title: 'Policies that are kept',
          type: 'stat',
          unit: 'short',
          queries: [{ expr: `max by (boundary) (${metric('mercato_boundary_policies')})`, legend: '{{boundary}}' }],
        },
      ],
      [
        {
          title: 'Findings',
          unit: 'short',
          queries: [
            {
              expr: `max by (boundary, rule, severity) (${metric('mercato_boundary_findings')}) > 0`,
              legend: '{{severity}} {{rule}}',
            },
          ],
        },
        {
          title: 'Drift that was put back',
          unit: 'short',
          queries: [
            {
              expr: `sum by (boundary, change) (increase(${metric('mercato_boundary_reverts_total')}[5m]))`,
              legend: '{{boundary}} {{change}}',
            },
          ],
        },
        {
          title: 'Ways that were tried',
          unit: 'short',
          queries: [
            {
              expr: `max by (boundary, expected, observed) (${metric('mercato_boundary_probe_ways')})`,
              legend: '{{expected}}, found {{observed}}',
            },
          ],
        },
      ],
    ],
  };
}
