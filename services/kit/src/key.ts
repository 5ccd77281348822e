import type { Brand } from './units.ts';

/** `{namespace}/{saga}/{orderId}/{step}`: names what a step does to the world, whatever is said about it. */
export type StepKey = Brand<string, 'StepKey'>;

export type CommandKind = 'action' | 'compensation';

/** An Idempotency-Key, taken apart. */
export interface CommandKey {
  readonly namespace: string;
  readonly saga: string;
  readonly orderId: string;
  readonly step: string;
  readonly kind: CommandKind;
}

const segment = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** Takes an Idempotency-Key apart; undefined when it does not have the contract's form. */
export function parseKey(text: string): CommandKey | undefined {
  const parts = text.split('/');
  if (parts.length !== 5) return undefined;
  const [namespace, saga, orderId, step, kind] = parts as [string, string, string, string, string];
  if (kind !== 'action' && kind !== 'compensation') return undefined;
  for (const part of [namespace, saga, orderId, step]) if (!segment.test(part)) return undefined;
  return { namespace, saga, orderId, step, kind };
}

export const stepKeyOf = (key: CommandKey): StepKey =>
  `${key.namespace}/${key.saga}/${key.orderId}/${key.step}` as StepKey;

/** The key as it goes over the wire. */
export const formatKey = (key: CommandKey): string => `${stepKeyOf(key)}/${key.kind}`;
