import type { Service } from '../../model/types.ts';
import type { Alert } from '../alert.ts';
import { bound, of } from '../indicators.ts';

/** What the PCI boundary's controller tells. */
export function boundaryAlerts(service: Service): Alert[] {
  const metric = (name: string, matchers?: string) => of(service, name, matchers);
  const { milliseconds } = service.objective.latency;
  const reverts = 'mercato_boundary_revert_seconds';
  return [
    {
      name: 'BoundaryViolation',
      severity: 'page',
      for: '1m',
      expr: `max by (namespace, boundary, rule) (${metric('mercato_boundary_findings', 'severity="Violation"')}) > 0`,
      summary: 'Something opens the card namespaces',
      description:
        '{{ $value }} findings of the rule {{ $labels.rule }} break the PciBoundary {{ $labels.boundary }} (docs/pci/findings.md).',
    },
    {
      name: 'BoundaryNotEnforced',
      severity: 'page',
      for: '2m',
      expr: `max by (namespace, boundary) (${metric('mercato_boundary_condition', 'type="Enforced",status="False"')}) == 1`,
      summary: 'The network does not do what the policies say',
      description:
        'Probes reached what the PciBoundary {{ $labels.boundary }} forbids, or did not reach what it allows.',
    },
    {
      name: 'BoundaryProbeStale',
      severity: 'ticket',
      for: '15m',
      expr: `time() - max by (namespace, boundary) (${metric('mercato_boundary_probe_timestamp_seconds')}) > 3600 or max by (namespace, boundary) (${metric('mercato_boundary_condition', 'type="Enforced",status="Unknown"')}) == 1`,
      summary: 'Nobody knows whether the boundary holds',
      description:
        'The PciBoundary {{ $labels.boundary }} has not been probed for an hour, or its probes could not tell.',
    },
    {
      name: 'BoundaryRevertSlow',
      severity: 'ticket',
      expr: `sum by (namespace) (increase(${metric(`${reverts}_count`)}[1h])) - sum by (namespace) (increase(${metric(`${reverts}_bucket`, bound(milliseconds / 1000))}[1h])) > 0`,
      summary: 'Drift of the boundary was put back late',
      description: `{{ $value | humanize }} changes of the last hour were in force for longer than ${milliseconds / 1000} s before they were put back.`,
    },
  ];
}
