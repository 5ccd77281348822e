import { asOrderId } from '@mercato/operator/api/names.ts';
import type { OrderSagaRunSpec } from '@mercato/operator/api/ordersagarun.ts';
import type { WarehouseInventorySpec } from '@mercato/operator/api/warehouseinventory.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import type { KubeObject } from '@mercato/operator/kube/types.ts';
import { applyManifest, type Manifest, readManifests, resourceOf } from '../local/install.ts';
import { type Administration, isPassing } from './observe.ts';
import type { PlannedOrder } from './order.ts';
import { patiently } from './patience.ts';
import { type Reach, SERVICES } from './reach.ts';
import type { StockedWarehouse } from './stockplan.ts';

/** What examples/ has for a shop. */
export interface Examples {
  /** Participants, saga, warehouses, opening stock: what is applied. Runs are played instead. */
  readonly manifests: readonly Manifest[];
  /** The first choice first; it gets two thirds of the goods. */
  readonly warehouses: readonly StockedWarehouse[];
  /** The example runs, as orders. */
  readonly orders: readonly PlannedOrder[];
}

/** Kinds that others refer to come before those that refer to them. */
const ORDER = ['Participant', 'OrderSaga', 'WarehouseInventory', 'StockAdjustment', 'RestockOrder'];

/**
 * Reads examples/. The saga's runs become orders of the first moment of the day.
 *
 * @param participants a file whose participants stand in for those of examples/, as 'examples/in-cluster/participants.yaml'
 */
export async function readExamples(participants?: string): Promise<Examples> {
  const local = await readManifests('examples');
  const all =
    participants === undefined
      ? local
      : [...local.filter(({ kind }) => kind !== 'Participant'), ...(await readManifests(participants))];
  const priority = ({ spec }: Manifest) => (spec as { priority?: number }).priority ?? 100;
  return {
    manifests: all
      .filter(({ kind }) => ORDER.includes(kind))
      .sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind)),
    warehouses: all
      .filter(({ kind }) => kind === 'WarehouseInventory')
      .sort((a, b) => priority(a) - priority(b))
      .map(({ metadata, spec }, i) => ({
        id: metadata.name,
        share: i === 0 ? 2 : 1,
        safetyStock: (spec as Partial<WarehouseInventorySpec>).policy?.safetyStock ?? 0,
      })),
    orders: all
      .filter(({ kind }) => kind === 'OrderSagaRun')
      .flatMap(({ spec }) => {
        const { orderId, input } = spec as OrderSagaRunSpec;
        // A View has no order of its own.
        return input === undefined ? [] : [{ orderId: asOrderId(orderId), atMs: 0, input }];
      }),
  };
}

/** The examples with participants at their actual addresses. */
export function atAddresses(examples: Examples, reach: Pick<Reach, 'urlOf'>): Examples {
  return { ...examples, manifests: examples.manifests.map((manifest) => atAddress(manifest, reach)) };
}

function atAddress(manifest: Manifest, reach: Pick<Reach, 'urlOf'>): Manifest {
  const service = SERVICES.find((name) => manifest.kind === 'Participant' && name === manifest.metadata.name);
  if (service === undefined) return manifest;
  return { ...manifest, spec: { ...(manifest.spec as object), url: reach.urlOf(service) } };
}

/**
 * Puts the examples into a namespace, and returns when inventory knows the warehouses and
 * has booked the opening stock.
 * @throws Error that says what did not happen within a minute
 */
export async function openShop(
  client: KubeClient,
  admin: Administration,
  examples: Examples,
  namespace: string,
): Promise<void> {
  const apply = (manifest: Manifest) =>
    patiently(() => applyManifest(client, manifest, namespace), admin.patienceMs, isPassing);
  const [participants, rest] = parted(examples.manifests, ({ kind }) => kind === 'Participant');
  const [adjustments, others] = parted(rest, ({ kind }) => kind === 'StockAdjustment');
  await Promise.all(participants.map(apply));
  // First, so that no warehouse is told that it has no inventory, in events that would stay.
  await Promise.all(participants.map((each) => untilStatus(client, each, namespace, isResolved)));
  await Promise.all(others.map(apply));
  await until('the operator has declared the warehouses to inventory', async () => {
    const { items } = await admin.ask<{ items: string[] }>('inventory', 'GET', '/warehouses');
    return examples.warehouses.every(({ id }) => items.includes(id));
  });
  // What came in before what broke: nothing that is not there can break.
  const [received, gone] = parted(adjustments, ({ spec }) => (spec as { type?: string }).type === 'Received');
  for (const some of [received, gone]) {
    await Promise.all(some.map(apply));
    await Promise.all(some.map((each) => untilStatus(client, each, namespace, isBooked)));
  }
}

interface Status {
  readonly phase?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
}

const isBooked = ({ phase }: Status) => phase === 'Applied' || phase === 'Refused';
const isResolved = ({ conditions }: Status) =>
  conditions?.some(({ type, status }) => type === 'Resolved' && status === 'True') ?? false;

/** Waits until the operator says so of an object. */
async function untilStatus(
  client: KubeClient,
  { apiVersion, kind, metadata }: Manifest,
  namespace: string,
  isSo: (status: Status) => boolean,
): Promise<void> {
  const of = resourceOf<KubeObject & { status?: Status }>(apiVersion, kind);
  await until(`the operator has taken ${kind} ${metadata.name} on`, async () => {
    const read = () => client.get(of, { namespace, name: metadata.name });
    const { status } = await patiently(read, PATIENCE_MS, isPassing);
    return status !== undefined && isSo(status);
  });
}

function parted<T>(items: readonly T[], isFirst: (item: T) => boolean): [T[], T[]] {
  return [items.filter(isFirst), items.filter((item) => !isFirst(item))];
}

const PATIENCE_MS = 60_000;
const POLL_MS = 50;

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not so after ${PATIENCE_MS / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
