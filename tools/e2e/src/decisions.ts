import type { OrderSaga } from '@mercato/operator/api/ordersaga.ts';
import type { OrderSagaRun } from '@mercato/operator/api/ordersagarun.ts';
import { orderSagaRuns } from '@mercato/operator/journals/kubernetes/journal.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { resource } from '@mercato/operator/kube/resource.ts';
import { until } from './objects.ts';

const orderSagas = resource<OrderSaga>({
  group: 'mercato.dev',
  version: 'v1alpha1',
  kind: 'OrderSaga',
  plural: 'ordersagas',
  namespaced: true,
});

/** A person who ends held runs where they are, as `kubectl` does: by what runs show, whatever the journal. */
export class Decisions {
  readonly #client: KubeClient;
  readonly #namespace: string;
  #user: Promise<string> | undefined;

  constructor(client: KubeClient, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  /** Waits for a run that is held, ends it, and waits until the run shows that. Answers it as it is then. @throws NotSoError */
  async untilOne(timeoutMs: number): Promise<OrderSagaRun> {
    let held: OrderSagaRun | undefined;
    await until('a run is held', timeoutMs, async () => {
      [held] = await this.#held();
      return held !== undefined;
    });
    const run = held as OrderSagaRun;
    await this.#abort(run);
    const { namespace = '', name } = run.metadata;
    let now = run;
    await until(
      `the held run ${name} is ended`,
      timeoutMs,
      async () => {
        now = await this.#client.get(orderSagaRuns, { namespace, name });
        return now.status?.phase === 'Aborted';
      },
      () => JSON.stringify(now.status),
    );
    return now;
  }

  /** Ends what is held until no run of any saga is open. @throws NotSoError */
  async untilNoneIsOpen(timeoutMs: number): Promise<void> {
    const sagas = async () => (await this.#client.list(orderSagas, { namespace: this.#namespace })).items;
    const isQuiet = ({ status }: OrderSaga) => (status?.active ?? 0) === 0 && (status?.heldCount ?? 0) === 0;
    await until(
      'no run is open',
      timeoutMs,
      async () => {
        for (const run of await this.#held()) await this.#abort(run);
        return (await sagas()).every(isQuiet);
      },
      async () =>
        (await sagas()).map(({ metadata, status }) => `${metadata.name} ${JSON.stringify(status)}`).join(', '),
    );
  }

  /** Held runs that wait for a person: those that were answered have other holds, or soon none. */
  async #held(): Promise<OrderSagaRun[]> {
    const { items } = await this.#client.list(orderSagaRuns, { namespace: this.#namespace });
    return items.filter(
      ({ spec, status }) =>
        status?.phase === 'Held' && status.holdId !== undefined && spec.decision?.holdId !== status.holdId,
    );
  }

  async #abort({ metadata, status }: OrderSagaRun): Promise<void> {
    const { namespace = '', name } = metadata;
    const by = await this.#whoAmI();
    const decision = { holdId: status?.holdId ?? '', do: 'Abort' as const, reason: 'a test of decisions', by };
    await this.#client.patch(orderSagaRuns, { namespace, name }, { spec: { decision } });
  }

  /** As `kubectl auth whoami`: admission holds a decision to who sends it. */
  #whoAmI(): Promise<string> {
    this.#user ??= this.#client.transport
      .request<{ status: { userInfo: { username: string } } }>({
        method: 'POST',
        path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
        body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
      })
      .then(({ status }) => status.userInfo.username);
    return this.#user;
  }
}
