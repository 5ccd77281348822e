import type { Component } from '../model/types.ts';
import { k8s } from './kube.ts';

/** Where programs say that they live, and that they can work. */
const PATHS: Readonly<Record<Component, { readonly live: string; readonly ready: string }>> = {
  service: { live: '/health', ready: '/ready' },
  // A simulated company answers as soon as it listens.
  simulator: { live: '/health', ready: '/health' },
  controller: { live: '/healthz', ready: '/readyz' },
};

/**
 * The three probes. Startup is asked each second for a minute, so that a pod that starts in one second serves in two, and one that recovers a large
 * store is not killed for it. Liveness is slow to give up: a busy event loop answers late, and a restart under load would make it worse.
 */
export function probes(component: Component): {
  startupProbe: k8s.Probe;
  livenessProbe: k8s.Probe;
  readinessProbe: k8s.Probe;
} {
  const { live, ready } = PATHS[component];
  const get = (path: string) => ({ httpGet: { path, port: k8s.IntOrString.fromString('http') } });
  return {
    startupProbe: { ...get(live), periodSeconds: 1, timeoutSeconds: 2, failureThreshold: 60 },
    livenessProbe: { ...get(live), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
    readinessProbe: { ...get(ready), periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2 },
  };
}
