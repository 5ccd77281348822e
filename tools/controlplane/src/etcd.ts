import { LOOPBACK } from './ports.ts';

/** What etcd is started with. */
export interface EtcdSettings {
  readonly port: number;
  readonly dataFolder: string;
  readonly unsafeNoFsync: boolean;
}

/** 8 GB, the most that etcd advises. Its default of 2 GB is soon full under a load test. */
const QUOTA_BYTES = 8 * 1024 ** 3;

/** Command line of etcd: one member, plain HTTP on the loopback address, which also has the JSON gateway. */
export function etcdArgs({ port, dataFolder, unsafeNoFsync }: EtcdSettings): string[] {
  const url = etcdUrl(port);
  return [
    `--data-dir=${dataFolder}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=http://${LOOPBACK}:0`,
    `--quota-backend-bytes=${QUOTA_BYTES}`,
    '--log-level=warn',
    ...(unsafeNoFsync ? ['--unsafe-no-fsync'] : []),
  ];
}

/** Base URL of etcd's clients. */
export function etcdUrl(port: number): string {
  return `http://${LOOPBACK}:${port}`;
}

/** Whether etcd can serve writes. False while nothing listens. */
export async function etcdIsHealthy(port: number): Promise<boolean> {
  try {
    const response = await fetch(`${etcdUrl(port)}/health`, { signal: AbortSignal.timeout(1_000) });
    return response.ok && ((await response.json()) as { health?: string }).health === 'true';
  } catch {
    return false;
  }
}

/**
 * Forgets every version of every key before now, and answers the revision (Kubernetes calls it resourceVersion) from
 * which history is left.
 */
export async function compactEtcd(port: number): Promise<number> {
  const key = Buffer.from('compaction').toString('base64');
  const range = (await post(port, '/v3/kv/range', { key })) as { header: { revision: string } };
  const revision = range.header.revision;
  await post(port, '/v3/kv/compaction', { revision, physical: true });
  return Number(revision);
}

async function post(port: number, path: string, body: unknown): Promise<unknown> {
  const response = await fetch(`${etcdUrl(port)}${path}`, { method: 'POST', body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`etcd answers ${response.status} to ${path}: ${text}`);
  return JSON.parse(text);
}
