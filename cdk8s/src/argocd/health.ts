import { readFileSync } from 'node:fs';
import { GROUP, type KindDefinition } from '@mercato/operator/api/index.ts';

/** Kinds of AWS' controllers for Kubernetes (ACK) that charts may declare: Argo CD has no health checks for them. */
export const ACK_KINDS: readonly { readonly group: string; readonly kind: string }[] = [
  { group: 'dynamodb.services.k8s.aws', kind: 'Table' },
  { group: 'eks.services.k8s.aws', kind: 'PodIdentityAssociation' },
  { group: 'eventbridge.services.k8s.aws', kind: 'Archive' },
  { group: 'eventbridge.services.k8s.aws', kind: 'EventBus' },
  { group: 'eventbridge.services.k8s.aws', kind: 'Rule' },
  { group: 'iam.services.k8s.aws', kind: 'Policy' },
  { group: 'iam.services.k8s.aws', kind: 'Role' },
  { group: 'kms.services.k8s.aws', kind: 'Alias' },
  { group: 'kms.services.k8s.aws', kind: 'Key' },
  { group: 'sns.services.k8s.aws', kind: 'Subscription' },
  { group: 'sns.services.k8s.aws', kind: 'Topic' },
  { group: 'sqs.services.k8s.aws', kind: 'Queue' },
];

/**
 * The Lua that judges objects of a kind. Argo CD runs it with the object as the global `obj`, and with no libraries but base and table.
 *
 * @throws Error if there is no script for it: add `health/<name>.lua`
 */
export function healthScript(name: string): string {
  const read = (file: string) => readFileSync(new URL(`./health/${file}.lua`, import.meta.url), 'utf8');
  return `${read('prelude')}\n${read(name)}`;
}

/**
 * Health checks by `<group>_<kind>`: for each of our kinds, for what AWS makes for us, and for Application, which Argo CD has none for since 1.8: without it
 * an app of apps does not wait for its waves.
 */
export function healthChecks(kinds: readonly KindDefinition[]): ReadonlyMap<string, string> {
  const checks = new Map([['argoproj.io_Application', healthScript('application')]]);
  for (const { kind } of kinds) checks.set(`${GROUP}_${kind}`, healthScript(kind.toLowerCase()));
  for (const { group, kind } of ACK_KINDS) checks.set(`${group}_${kind}`, healthScript('ack'));
  return checks;
}
