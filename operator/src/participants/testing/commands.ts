import { commandKey } from '../../saga/command.ts';
import type { RunId } from '../../saga/types.ts';
import type { ParticipantConfig } from '../config.ts';
import type { SendEffect } from '../participants.ts';
import type { TokenSource } from '../tokens.ts';

export const runOf = (orderId: string): RunId => ({ namespace: 'shop', saga: 'checkout', orderId });

/** A command of the order `orderId`; what is not said is plain. It has more time than any machine takes: tests of time limits say theirs. */
export function effectOf(orderId: string, over: Partial<SendEffect> = {}): SendEffect {
  return {
    type: 'Send',
    step: 'reserve',
    kind: 'action',
    participant: 'inventory',
    command: 'reserve-stock',
    key: commandKey(runOf(orderId), 'reserve', 'action'),
    epoch: 1,
    send: 1,
    begunAt: Date.UTC(2026, 10, 22, 12),
    timeout: 60_000,
    body: { lines: [{ sku: 'tea', quantity: 2, unitPrice: 450 }], currency: 'GBP' },
    ...over,
  };
}

export const configOf = (baseUrl: string, over: Partial<ParticipantConfig> = {}): ParticipantConfig => ({
  baseUrl,
  audience: 'inventory',
  reasons: { 'reserve-stock': ['OutOfStock', 'UnknownSku'], 'release-stock': [] },
  ...over,
});

/** The token of every request, unless a test is about tokens. */
export const TEST_TOKEN = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ0ZXN0In0.c2lnbmF0dXJl';

export const testTokens: TokenSource = async () => TEST_TOKEN;

/** A signal that nobody aborts. */
export const patient = (): AbortSignal => new AbortController().signal;
