import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { installApi } from '../../api/testing.ts';
import { KubeClient } from '../../kube/client.ts';
import { TransportError } from '../../kube/errors.ts';
import { configMaps } from '../../kube/resource.ts';
import { clientOf } from '../../kube/testing.ts';
import type { ApiRequest, Transport } from '../../kube/transport.ts';
import type { GivenUp, RunId } from '../../saga/types.ts';
import type { Fault } from '../../testing/memory-journal.ts';
import { type JournalHarness, type JournalPlace, journalConformance } from '../conformance.ts';
import { checksumOf } from './codec.ts';
import { EXCEPTION_LABELS } from './exceptions.ts';
import { KubernetesJournal, orderSagaRuns, placeOf } from './journal.ts';

/** A way to the API server whose next writes can be lost: before it has them, or their answers. */
class LossyTransport implements Transport {
  readonly faults: Fault[] = [];
  readonly host: string;
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
    this.host = transport.host;
  }

  async request<R>(request: ApiRequest): Promise<R> {
    const fault = request.method === 'GET' ? undefined : this.faults.shift();
    if (fault === 'refused') throw new TransportError(request, 'connect', 'the test refused the connection');
    const answer = await this.#transport.request<R>(request);
    if (fault === 'answer lost') throw new TransportError(request, 'connection-lost', 'the test lost the answer');
    return answer;
  }

  requestText(request: ApiRequest): Promise<string> {
    return this.#transport.requestText(request);
  }

  stream(...args: Parameters<Transport['stream']>): Promise<void> {
    return this.#transport.stream(...args);
  }

  reloadCredentials(): void {
    this.#transport.reloadCredentials();
  }

  /** The way belongs to all journals of the file. */
  async close(): Promise<void> {}
}

let plane: ControlPlane;
let client: KubeClient;

const harness: JournalHarness<KubernetesJournal> = {
  name: 'kubernetes',

  async before() {
    plane = await sharedControlPlane();
    await installApi(plane);
    client = await clientOf(plane);
  },

  after: () => client.transport.close(),

  async place(clock): Promise<JournalPlace<KubernetesJournal>> {
    const namespace = await uniqueNamespace(plane, 'journal');
    const transports = new Map<KubernetesJournal, LossyTransport>();
    const start = async (): Promise<KubernetesJournal> => {
      const transport = new LossyTransport(client.transport);
      const journal = new KubernetesJournal({
        client: new KubeClient(transport),
        operatorNamespace: namespace,
        wall: () => clock.wall(),
      });
      transports.set(journal, transport);
      return journal;
    };
    const stored = (id: RunId): Promise<OrderSagaRun> => client.get(orderSagaRuns, placeOf(id));
    const edit = async (id: RunId, status: object): Promise<void> => {
      await client.patchStatus<OrderSagaRun>(orderSagaRuns, placeOf(id), { status });
    };
    return {
      namespace,
      start,
      // A worker of this journal leaves nothing behind that names it: the next one's first write is what ends its right to write.
      succeed: () => start(),
      async begin(_worker, { id, input }) {
        const { saga: name, orderId } = id;
        const metadata = { ...placeOf(id), finalizers: ['mercato.dev/run'] };
        const spec = { sagaRef: { name }, orderId, mode: 'Execute', input };
        const made = await client.create(orderSagaRuns, { metadata, spec } as OrderSagaRun);
        return made.metadata.resourceVersion ?? '';
      },
      async claim(worker, id) {
        const found = await worker.read(id);
        if (found === undefined) throw new Error(`${placeOf(id).name} is not there`);
        return found;
      },
      peek: (id) => new KubernetesJournal({ client, operatorNamespace: namespace, wall: () => clock.wall() }).read(id),
      async damage(id) {
        const steps = (await stored(id)).status?.steps ?? [];
        await edit(id, { steps: steps.map((step) => ({ ...step, state: 'Skipped' })) });
      },
      async renew(id) {
        const { status = {} } = await stored(id);
        const journal = JSON.stringify({ ...JSON.parse(status.journal ?? '{}'), v: 1_000 });
        await edit(id, { journal, checksum: checksumOf(id, { ...status, journal }) });
      },
      fail(worker, fault) {
        transports.get(worker)?.faults.push(fault);
      },
      async exceptions({ orderId }) {
        const labels = { ...EXCEPTION_LABELS, 'mercato.dev/order': orderId };
        const labelSelector = Object.entries(labels)
          .map((pair) => pair.join('='))
          .join(',');
        const { items } = await client.list(configMaps, { namespace, labelSelector });
        return items.map(({ data }) => entryOf(data ?? {}));
      },
      close: async () => undefined,
    };
  },
};

/** The entry that an exception record tells of. */
function entryOf({ run: _run, at: _at, ...entry }: Readonly<Record<string, string>>): GivenUp {
  return entry as unknown as GivenUp;
}

journalConformance(harness);
