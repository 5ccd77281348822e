import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type BinaryName, type Platform, versionOf } from '../versions.ts';

/** Where the official binaries are published. Both can be mirrors with the same paths. */
export interface DownloadSites {
  /** @default "https://dl.k8s.io", or the environment's MERCATO_KUBERNETES_DOWNLOADS */
  readonly kubernetes: string;
  /** @default "https://github.com/etcd-io/etcd/releases/download", or the environment's MERCATO_ETCD_DOWNLOADS */
  readonly etcd: string;
}

/** The official sites, unless the environment names mirrors. */
export function downloadSites(env: Readonly<Record<string, string | undefined>>): DownloadSites {
  return {
    kubernetes: env['MERCATO_KUBERNETES_DOWNLOADS'] || 'https://dl.k8s.io',
    etcd: env['MERCATO_ETCD_DOWNLOADS'] || 'https://github.com/etcd-io/etcd/releases/download',
  };
}

/** The binary cannot be had from the site: no network, no such release, not the site. Building it is the way on. */
export class DownloadUnavailableError extends Error {
  override readonly name = 'DownloadUnavailableError';
}

/** What was downloaded is not what its publisher says. Never answered by another source: somebody should look. */
export class ChecksumMismatchError extends Error {
  override readonly name = 'ChecksumMismatchError';
}

/** Time to the response's headers. Short, so that a closed network costs seconds and not minutes. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Time without a byte after which a transfer is given up. */
const STALL_TIMEOUT_MS = 30_000;

/** Bytes so far and, where the site says so, in all. */
export type OnBytes = (received: number, total: number | undefined) => void;

/**
 * Downloads one official binary into `folder`, checked against its published SHA-256. The file appears under its name
 * only when it is complete and executable.
 *
 * @throws DownloadUnavailableError, ChecksumMismatchError
 */
export async function download(
  name: BinaryName,
  folder: string,
  platform: Platform,
  sites: DownloadSites,
  onBytes: OnBytes,
): Promise<void> {
  const work = await mkdtemp(join(folder, `.download-${name}-`));
  try {
    const file =
      name === 'etcd'
        ? await fetchEtcd(work, platform, sites, onBytes)
        : await fetchKubernetes(name, work, platform, sites, onBytes);
    await chmod(file, 0o755);
    await rename(file, join(folder, name));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function fetchKubernetes(
  name: BinaryName,
  work: string,
  { os, arch }: Platform,
  sites: DownloadSites,
  onBytes: OnBytes,
): Promise<string> {
  if (os !== 'linux' && name !== 'kubectl') throw new DownloadUnavailableError(`${name} is published for Linux only`);
  const url = `${sites.kubernetes}/release/${versionOf(name)}/bin/${os}/${arch}/${name}`;
  const expected = parseChecksum(await fetchText(`${url}.sha256`), `${url}.sha256`);
  const file = join(work, name);
  await fetchFile(url, file, expected, onBytes);
  return file;
}

async function fetchEtcd(
  work: string,
  { os, arch }: Platform,
  sites: DownloadSites,
  onBytes: OnBytes,
): Promise<string> {
  if (os !== 'linux') throw new DownloadUnavailableError('etcd is published as a tar archive for Linux only');
  const version = versionOf('etcd');
  const base = `etcd-${version}-${os}-${arch}`;
  const sums = `${sites.etcd}/${version}/SHA256SUMS`;
  const line = (await fetchText(sums)).split('\n').find((candidate) => candidate.endsWith(`  ${base}.tar.gz`));
  if (line === undefined) throw new DownloadUnavailableError(`${sums} does not list ${base}.tar.gz`);
  const archive = join(work, `${base}.tar.gz`);
  await fetchFile(`${sites.etcd}/${version}/${base}.tar.gz`, archive, parseChecksum(line, sums), onBytes);
  await unpack(archive, work, `${base}/etcd`);
  return join(work, base, 'etcd');
}

/** A portal that answers every request with its own page is no checksum, and so no site. */
function parseChecksum(text: string, url: string): string {
  const sum = text.trim().split(/\s+/, 1)[0] ?? '';
  if (!/^[0-9a-f]{64}$/.test(sum)) throw new DownloadUnavailableError(`${url} does not answer with a SHA-256 checksum`);
  return sum;
}

async function fetchText(url: string): Promise<string> {
  const { response, abort } = await open(url);
  const timer = setTimeout(() => abort(new Error(`no answer in ${STALL_TIMEOUT_MS / 1000} s`)), STALL_TIMEOUT_MS);
  try {
    return await response.text();
  } catch (error) {
    throw new DownloadUnavailableError(`${url}: ${reason(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

async function fetchFile(url: string, path: string, expected: string, onBytes: OnBytes): Promise<void> {
  const { response, abort } = await open(url);
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  const total = Number.isNaN(length) ? undefined : length;
  const stalled = () => abort(new Error(`no data for ${STALL_TIMEOUT_MS / 1000} s`));
  let timer = setTimeout(stalled, STALL_TIMEOUT_MS);
  let received = 0;
  try {
    await pipeline(
      Readable.fromWeb(response.body!),
      async function* count(chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          clearTimeout(timer);
          timer = setTimeout(stalled, STALL_TIMEOUT_MS);
          received += chunk.length;
          onBytes(received, total);
          yield chunk;
        }
      },
      createWriteStream(path),
    );
  } catch (error) {
    throw new DownloadUnavailableError(`${url}: ${reason(error)}`);
  } finally {
    clearTimeout(timer);
  }
  const actual = await sha256(path);
  if (actual !== expected) {
    throw new ChecksumMismatchError(
      `${url} has the SHA-256 ${actual}, but ${expected} is published for it: refused. Something on the way changes downloads; ` +
        'point KUBEBUILDER_ASSETS to binaries you trust, or try another network.',
    );
  }
}

async function open(url: string): Promise<{ response: Response; abort: (reason: Error) => void }> {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new Error(`no answer in ${CONNECT_TIMEOUT_MS / 1000} s`)),
    CONNECT_TIMEOUT_MS,
  );
  try {
    const response = await fetch(url, { signal: controller.signal });
    if (!response.ok) throw new Error(`answers ${response.status}`);
    return { response, abort: (why) => controller.abort(why) };
  } catch (error) {
    throw new DownloadUnavailableError(`${url}: ${reason(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

/** fetch says "fetch failed" and keeps what happened in its cause. */
function reason(error: unknown): string {
  const cause = (error as Error).cause;
  return cause instanceof Error && cause.message !== '' ? cause.message : (error as Error).message;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

async function unpack(archive: string, folder: string, member: string): Promise<void> {
  const tar = spawn('tar', ['-xzf', archive, '-C', folder, member], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  tar.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve, reject) => tar.once('error', reject).once('close', resolve));
  if (code !== 0) throw new DownloadUnavailableError(`tar cannot unpack ${member} of ${archive}: ${said.trim()}`);
}
