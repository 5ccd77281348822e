import type { NetworkPolicy, NetworkPolicySpec } from '../policy/types.ts';
import type { Workload, WorkloadPort } from '../reach/types.ts';

/** A NetworkPolicy of a namespace. */
export function policyIn(namespace: string, name: string, spec: NetworkPolicySpec): NetworkPolicy {
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { namespace, name }, spec };
}

/** Pods with the label `app`, which is their name too, on port 8080 named http. */
export function workloadOf(namespace: string, app: string, more: Partial<Workload> = {}): Workload {
  const ports: WorkloadPort[] = [{ name: 'http', port: 8080 }];
  return { namespace, name: app, labels: { app }, namespaceLabels: {}, ports, ...more };
}
