import { gunzipSync, gzipSync } from 'node:zlib';
import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../kube/errors.ts';
import { configMaps } from '../../kube/resource.ts';
import type { ConfigMap } from '../../kube/types.ts';
import { runKey } from '../../saga/command.ts';
import type { RunId, RunState } from '../../saga/types.ts';
import { REMEMBERED_MILLIS } from '../worker-journal.ts';

export type Outcome = NonNullable<RunState['ended']>;

const DAY_MILLIS = 86_400_000;
/** About 10 KiB compressed: small enough to write again each second. */
const PER_PAGE = 1_000;
const PAGE_NAME = /^finished-(\d+)(?:-([a-z0-9]+))?$/;
const LABELS = { 'mercato.dev/record': 'finished' } as const;

interface Page {
  readonly name: string;
  readonly at: number;
  /** Who writes it; empty for pages of the time when one replica wrote all. */
  readonly writer: string;
  /** Somebody else wrote to it, or deleted it: it has to be read anew before it is written again. */
  spoilt?: boolean;
  readonly runs: Map<string, Outcome>;
  version: string | undefined;
}

/**
 * Remembers the order ids of finished runs, beyond their objects: an order that is applied again, restored from a backup, or delivered once more is
 * the run that it was, and not a second one (design rule 1).
 *
 * Kept as gzipped pages in ConfigMaps of the operator's namespace, many runs a write, 35 days or as `remembered` says. Each replica writes pages of its own, so that none
 * waits for another, and reads those of all when shards come to it. It is meant for what the kubernetes journal is meant for: a million runs in 35 days
 * take about 12 MB of etcd.
 */
export class FinishedRuns {
  readonly #client: KubeClient;
  readonly #namespace: string;
  readonly #wall: () => number;
  readonly #collect: () => Promise<void>;
  readonly #writer: string;
  readonly #remembered: number;
  readonly #pages: Page[] = [];
  readonly #waiting: { key: string; outcome: Outcome; done: () => void; failed: (error: unknown) => void }[] = [];
  #writing = false;
  #written: Promise<void> = Promise.resolve();
  #hurry = false;
  #hurried: (() => void) | undefined;

  /**
   * @param collect what is waited for before each write, so that many runs share it. @default nothing
   * @param writer lower-case letters and digits, unique among all that ever wrote. @default whoever gives none writes to the same pages as others
   * @param remembered for how long; milliseconds. Only who prunes needs to say it
   */
  constructor(
    client: KubeClient,
    namespace: string,
    wall: () => number,
    collect = async (): Promise<void> => undefined,
    writer = '',
    remembered = REMEMBERED_MILLIS,
  ) {
    this.#client = client;
    this.#namespace = namespace;
    this.#wall = wall;
    this.#collect = collect;
    this.#writer = writer;
    this.#remembered = remembered;
  }

  /** Reads all pages that changed; before the first question, and again when shards come. Rejects with the client's errors. */
  async load(): Promise<void> {
    const selector = Object.entries(LABELS)
      .map((pair) => pair.join('='))
      .join(',');
    const { items } = await this.#client.list(configMaps, { namespace: this.#namespace, labelSelector: selector });
    const known = new Map(this.#pages.filter(({ spoilt }) => spoilt !== true).map((page) => [page.name, page]));
    const pages = items.map((item) => {
      const page = known.get(item.metadata.name);
      known.delete(item.metadata.name);
      // Of our own we know more than any list: it may be older than a write that is under way.
      const isCurrent = page !== undefined && (this.#isOurs(page) || page.version === item.metadata.resourceVersion);
      return isCurrent ? page : readPage(item);
    });
    const unwritten = [...known.values()].filter((page) => this.#isOurs(page) && page.version === undefined);
    this.#pages.splice(0, this.#pages.length, ...[...pages, ...unwritten].sort((a, b) => a.at - b.at));
  }

  /** Without a name we share pages with others, and believe what was read last. */
  #isOurs(page: Page): boolean {
    return this.#writer !== '' && page.writer === this.#writer;
  }

  /** How the run ended, if it did. */
  outcomeOf(id: RunId): Outcome | undefined {
    const key = runKey(id);
    return (
      this.#pages.findLast((page) => page.runs.has(key))?.runs.get(key) ??
      this.#waiting.find((entry) => entry.key === key)?.outcome
    );
  }

  /** Whether it is durable that the run has ended. */
  isRemembered(id: RunId): boolean {
    const key = runKey(id);
    return this.#pages.some((page) => page.runs.has(key));
  }

  /** Begins to {@link remember}, unless that is under way. Where it fails, `isRemembered` stays false, and who asks again begins anew. */
  note(id: RunId, outcome: Outcome): void {
    const key = runKey(id);
    if (this.#waiting.some((entry) => entry.key === key)) return;
    this.remember(id, outcome).catch(() => undefined);
  }

  /** Resolves once it is durable. Calls of one moment share a write. Rejects with the client's errors. */
  remember(id: RunId, outcome: Outcome): Promise<void> {
    const key = runKey(id);
    if (this.isRemembered(id)) return Promise.resolve();
    return new Promise((done, failed) => {
      this.#waiting.push({ key, outcome, done, failed });
      if (!this.#writing) this.#written = this.#write();
    });
  }

  /** Writes what waits without collecting any longer; resolves when nothing waits, whether it was written or failed. */
  async flush(): Promise<void> {
    this.#hurry = true;
    this.#hurried?.();
    await this.#written;
    this.#hurry = false;
  }

  /** Deletes the pages that are older than anyone could still need. Rejects with the client's errors. */
  async prune(): Promise<void> {
    // A page is written to for a day.
    const oldest = this.#wall() - this.#remembered - DAY_MILLIS;
    for (const page of this.#pages.filter(({ at }) => at < oldest)) {
      await this.#client.delete(configMaps, { namespace: this.#namespace, name: page.name }).catch((error) => {
        if (!isNotFound(error)) throw error;
      });
      // Pages may have been read anew meanwhile.
      const index = this.#pages.findIndex(({ name }) => name === page.name);
      if (index >= 0) this.#pages.splice(index, 1);
    }
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      await this.#collected();
      const page = this.#openPage();
      const batch = this.#waiting.slice(0, PER_PAGE - page.runs.size);
      try {
        await this.#save(page, batch);
        for (const { key, outcome } of batch) page.runs.set(key, outcome);
        this.#waiting.splice(0, batch.length);
        for (const entry of batch) entry.done();
      } catch (error) {
        // Whoever asked tries again; what is in the page then is found by load().
        this.#waiting.splice(0, batch.length);
        for (const entry of batch) entry.failed(error);
        if (isConflict(error) || isAlreadyExists(error) || isNotFound(error)) {
          page.spoilt = true;
          await this.load().catch(() => undefined);
        }
      }
    }
    this.#writing = false;
  }

  /** Gives other runs the time to join the write, unless somebody waits in {@link flush}. */
  async #collected(): Promise<void> {
    if (this.#hurry) return;
    const hurried = new Promise<void>((resolve) => {
      this.#hurried = resolve;
    });
    await Promise.race([this.#collect(), hurried]);
  }

  /** The newest page, or a new one once it is full or a day old. */
  #openPage(): Page {
    const last = this.#pages.at(-1);
    const now = this.#wall();
    const open = this.#pages.findLast((page) => page.writer === this.#writer && page.spoilt !== true);
    if (open !== undefined && open.runs.size < PER_PAGE && now - open.at < DAY_MILLIS) return open;
    // Two pages of one millisecond, or after a clock went back, are two.
    const at = Math.max(now, (last?.at ?? 0) + 1);
    const name = this.#writer === '' ? `finished-${at}` : `finished-${at}-${this.#writer}`;
    const page: Page = { name, at, writer: this.#writer, runs: new Map(), version: undefined };
    this.#pages.push(page);
    return page;
  }

  async #save(page: Page, added: readonly { key: string; outcome: Outcome }[]): Promise<void> {
    const lines = [...page.runs, ...added.map(({ key, outcome }) => [key, outcome] as const)]
      .map((pair) => pair.join(' '))
      .join('\n');
    const binaryData = { runs: gzipSync(lines).toString('base64') };
    const place = { namespace: this.#namespace, name: page.name };
    const answer =
      page.version === undefined
        ? await this.#client.create(configMaps, { metadata: { ...place, labels: { ...LABELS } }, binaryData })
        : await this.#client.patch(configMaps, place, { binaryData }, { resourceVersion: page.version });
    page.version = answer.metadata.resourceVersion;
  }
}

function readPage({ metadata, binaryData }: ConfigMap): Page {
  const packed = binaryData?.['runs'];
  const lines =
    packed === undefined
      ? []
      : gunzipSync(Buffer.from(packed, 'base64'))
          .toString()
          .split('\n')
          .filter((line) => line !== '');
  const runs = new Map(lines.map((line) => line.split(' ') as [string, Outcome]));
  const [, at, writer = ''] = PAGE_NAME.exec(metadata.name) ?? [];
  return {
    name: metadata.name,
    at: Number(at),
    writer,
    runs,
    version: metadata.resourceVersion,
  };
}
