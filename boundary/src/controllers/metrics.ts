import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** From a watch's few milliseconds to the five seconds that are promised. */
const REVERT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** What is measured of boundaries. */
export interface BoundaryMetrics {
  readonly findings: Gauge<'boundary' | 'rule' | 'severity'>;
  readonly conditions: Gauge<'boundary' | 'type' | 'status'>;
  readonly policies: Gauge<'boundary'>;
  readonly reverts: Counter<'boundary' | 'change'>;
  readonly revertSeconds: Histogram;
  readonly probeWays: Gauge<'boundary' | 'expected' | 'observed'>;
  readonly probeRounds: Counter<'boundary' | 'outcome'>;
  readonly probeTime: Gauge<'boundary'>;
}

/** Registers the metrics of boundaries. */
export function boundaryMetrics(registry: Registry): BoundaryMetrics {
  const registers = [registry];
  return {
    findings: new Gauge({
      name: 'mercato_boundary_findings',
      help: 'Findings of a PciBoundary, by rule (docs/pci/findings.md) and severity.',
      labelNames: ['boundary', 'rule', 'severity'],
      registers,
    }),
    conditions: new Gauge({
      name: 'mercato_boundary_condition',
      help: '1 for the status that a condition of a PciBoundary has, 0 for the two others.',
      labelNames: ['boundary', 'type', 'status'],
      registers,
    }),
    policies: new Gauge({
      name: 'mercato_boundary_policies',
      help: 'NetworkPolicies that a PciBoundary keeps.',
      labelNames: ['boundary'],
      registers,
    }),
    reverts: new Counter({
      name: 'mercato_boundary_reverts_total',
      help: 'NetworkPolicies that were put back after somebody changed or deleted them.',
      labelNames: ['boundary', 'change'],
      registers,
    }),
    revertSeconds: new Histogram({
      name: 'mercato_boundary_revert_seconds',
      help: 'Time from when drift of a NetworkPolicy was seen until it was put back.',
      buckets: REVERT_BUCKETS,
      registers,
    }),
    probeWays: new Gauge({
      name: 'mercato_boundary_probe_ways',
      help: 'Ways tried in the last round of probes, by what the boundary declares and what was found.',
      labelNames: ['boundary', 'expected', 'observed'],
      registers,
    }),
    probeRounds: new Counter({
      name: 'mercato_boundary_probe_rounds_total',
      help: 'Rounds of probes, by what they say about enforcement: True, False, Unknown.',
      labelNames: ['boundary', 'outcome'],
      registers,
    }),
    probeTime: new Gauge({
      name: 'mercato_boundary_probe_timestamp_seconds',
      help: 'When a round of probes last ended, in seconds since 1970.',
      labelNames: ['boundary'],
      registers,
    }),
  };
}
