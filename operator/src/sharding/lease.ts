import { type Lease, microTime } from '../kube/types.ts';
import { isComparableVersion } from '../kube/version.ts';
import type { Shard } from './shard.ts';

/** By namespace, the resourceVersion of a holder's last write of a shard's runs. */
export type Written = Readonly<Record<string, string>>;

/** What a Lease of ours is for: `shard` or `replica`. Everyone watches those that have it. */
export const LEASE_LABEL = 'mercato.dev/lease';
/** On a shard's Lease: how many shards there are. Replicas that count otherwise would give one run to two. */
export const SHARDS_ANNOTATION = 'mercato.dev/shards';
/** On a shard's Lease that nobody holds: its last holder made durable what it knew (design rule 3). */
export const IN_ORDER_ANNOTATION = 'mercato.dev/in-order';
/** Beside it: the resourceVersion of the last holder's last write, by namespace. Whoever has not seen it would begin with the past. */
export const WRITTEN_ANNOTATION = 'mercato.dev/written';
/** On a replica's Lease: it hands its shards over, and is to be given none. */
export const LEAVING_ANNOTATION = 'mercato.dev/leaving';

const SHARD_NAME = /^mercato-runs-(\d+)$/;

/** The name of a shard's Lease. */
export function shardLeaseName(shard: Shard): string {
  return `mercato-runs-${shard}`;
}

/** The name of the Lease by which a replica shows that it lives. @param identity unique among replicas and across restarts */
export function replicaLeaseName(identity: string): string {
  const name = identity.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return `mercato-replica-${name.slice(-200).replaceAll(/^-+|-+$/g, '')}`;
}

/** Which shard a Lease is of; undefined for any other Lease. */
export function shardOfLease({ metadata }: Lease): Shard | undefined {
  const number = metadata.labels?.[LEASE_LABEL] === 'shard' ? SHARD_NAME.exec(metadata.name)?.[1] : undefined;
  return number === undefined ? undefined : Number(number);
}

/** The resourceVersion of a Lease that the API server answered with. */
export function versionOf({ metadata }: Lease): string {
  return metadata.resourceVersion ?? '';
}

/** Whether a Lease is a replica's, alive or not. */
export function isReplicaLease({ metadata }: Lease): boolean {
  return metadata.labels?.[LEASE_LABEL] === 'replica';
}

/** Which replica renews this Lease; undefined where it has released it, or was fenced off. */
export function replicaOf(lease: Lease): string | undefined {
  const holder = lease.spec?.holderIdentity ?? '';
  return isReplicaLease(lease) && holder !== '' && replicaLeaseName(holder) === lease.metadata.name
    ? holder
    : undefined;
}

/** Whether the last holder of a shard left it without having made everything durable; also where nobody can say. */
export function wasLeftByDeath({ metadata, spec }: Lease): boolean {
  return (spec?.holderIdentity ?? '') !== '' || metadata.annotations?.[IN_ORDER_ANNOTATION] !== 'true';
}

/** A shard's Lease that nobody has held. */
export function newShardLease(namespace: string, shard: Shard, shards: number): Lease {
  return {
    metadata: {
      namespace,
      name: shardLeaseName(shard),
      labels: { [LEASE_LABEL]: 'shard' },
      annotations: { [SHARDS_ANNOTATION]: String(shards) },
    },
    spec: { holderIdentity: '', leaseDurationSeconds: 1, leaseTransitions: 0 },
  };
}

/** What the last holder wrote of a shard, by namespace: the resourceVersion of its last write. Empty where nobody says. */
export function writtenBefore({ metadata }: Lease): Written {
  try {
    const said: unknown = JSON.parse(metadata.annotations?.[WRITTEN_ANNOTATION] ?? '{}');
    if (said === null || typeof said !== 'object') return {};
    return Object.fromEntries(
      Object.entries(said).filter((entry): entry is [string, string] => isComparableVersion(entry[1])),
    );
  } catch {
    // A person wrote it. What it is for, writes that depend on versions make sure of as well.
    return {};
  }
}

/** A shard's Lease as it is when we take it. @param wall Unix milliseconds */
export function taken(lease: Lease, holder: string, leaseDurationMs: number, wall: number): Lease {
  const { [IN_ORDER_ANNOTATION]: _, [WRITTEN_ANNOTATION]: __, ...annotations } = lease.metadata.annotations ?? {};
  const now = microTime(wall);
  return {
    metadata: { ...lease.metadata, annotations },
    spec: {
      holderIdentity: holder,
      leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
      acquireTime: now,
      renewTime: now,
      leaseTransitions: (lease.spec?.leaseTransitions ?? 0) + 1,
    },
  };
}

/** A shard's Lease as it is when we have handed the shard over. @param wall Unix milliseconds */
export function handedOver(lease: Lease, written: Written, wall: number): Lease {
  const now = microTime(wall);
  const left = { [IN_ORDER_ANNOTATION]: 'true', [WRITTEN_ANNOTATION]: JSON.stringify(written) };
  return {
    metadata: { ...lease.metadata, annotations: { ...lease.metadata.annotations, ...left } },
    spec: { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: now },
  };
}

/**
 * A shard's Lease as it is when we have given the shard up, and runs of it that a dead holder left are in doubt still: nobody holds it, and nothing says that it was
 * left in order. @param wall Unix milliseconds
 */
export function leftInDoubt(lease: Lease, wall: number): Lease {
  const { [IN_ORDER_ANNOTATION]: _, [WRITTEN_ANNOTATION]: __, ...annotations } = lease.metadata.annotations ?? {};
  return {
    metadata: { ...lease.metadata, annotations },
    spec: { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(wall) },
  };
}

/**
 * A dead replica's Lease, in the name of the one that found it dead. Should the dead one wake up in the middle of a renewal, that is refused, and it
 * finds a holder that is not itself: it has lost. Only then are its shards taken.
 */
export function fenced(lease: Lease, by: string, wall: number): Lease {
  return {
    metadata: lease.metadata,
    spec: { ...lease.spec, holderIdentity: `fenced by ${by}`, renewTime: microTime(wall) },
  };
}
