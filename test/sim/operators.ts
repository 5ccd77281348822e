import { VersionConflict } from '@mercato/operator/journals/journal.ts';
import type { Participants } from '@mercato/operator/participants/participants.ts';
import { runKey } from '@mercato/operator/saga/command.ts';
import type { Decision, RunId, RunInput } from '@mercato/operator/saga/types.ts';
import { ApiClient } from './api-server.ts';
import type { Crew, Desk } from './desk.ts';
import { Node } from './node.ts';
import { SimulatedParticipants } from './participants.ts';
import type { Random } from './random.ts';
import type { Stage } from './stage.ts';
import { Worker } from './worker.ts';

/** The operator's processes: who leads, who died, and who goes on although it leads no more. */
export class Operators implements Crew, Desk {
  readonly #stage: Stage;
  readonly #random: Random;
  readonly #zombies = new Set<Worker>();
  #leader: Worker | undefined;
  #count = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#random = stage.random.fork('operators');
  }

  get leader(): Worker | undefined {
    return this.#leader;
  }

  /** A new process leads from now on. `died`: whoever led before did not hand over. */
  elect(died: boolean): void {
    this.#count += 1;
    const name = `worker-${this.#count}`;
    this.#stage.note(`ELECTED ${name}`);
    const worker = this.#start(name, died);
    this.#leader = worker;
    worker.start();
  }

  /** The leader loses its lease, goes on with what it has, and hears of it some time after its successor began. */
  makeZombie(): void {
    const { faults, books, scheduler, note } = this.#stage;
    const worker = this.#leader;
    if (worker === undefined || !worker.node.alive) return;
    faults.record(`${worker.node.name} loses its lease and goes on`);
    books.zombies = true;
    worker.beginNothing();
    this.elect(true);
    this.#zombies.add(worker);
    scheduler.after(this.#random.int(100, 8_000), () => {
      note(`${worker.node.name} stops`);
      worker.stop();
      this.#zombies.delete(worker);
    });
  }

  endZombies(): void {
    for (const worker of this.#zombies) worker.stop();
    this.#zombies.clear();
  }

  /** The leader hands over in good order: a new version of the operator. */
  handOver(): void {
    const worker = this.#leader;
    if (worker === undefined || !worker.node.alive) return;
    this.#stage.note(`${worker.node.name} hands over`);
    void worker.release().then((isKnown) => {
      if (worker !== this.#leader || !worker.node.alive) return;
      worker.stop();
      this.elect(!isKnown);
    });
  }

  end(): void {
    this.#leader?.stop();
  }

  place(id: RunId, input: RunInput): void {
    this.#stage.api.create(id, input);
  }

  cancel(key: string): void {
    this.#stage.api.delete(key);
  }

  decide(key: string, decision: Decision): void {
    try {
      this.#stage.api.patch(key, () => ({ decision }));
    } catch (error) {
      if (!(error instanceof VersionConflict)) throw error;
    }
  }

  #start(name: string, died: boolean): Worker {
    const { api, apiNode, network, faults, hosts, saga, books, fail } = this.#stage;
    const node = new Node(name, this.#stage.scheduler);
    const random = this.#random.fork(name);
    const mayDie = (point: string): boolean => {
      if (!node.alive) return true;
      if (!faults.strikes('worker-crash', `${name} ${point}`)) return false;
      this.#kill(worker);
      return true;
    };
    const participants = new SimulatedParticipants(node, network, faults, random, hosts, mayDie);
    const worker: Worker = new Worker(
      {
        api,
        client: new ApiClient(api, apiNode, node, network, faults, mayDie),
        participants: this.#observed(participants, () => worker),
        node,
        watchLag: () => random.int(1, 30) + (faults.strikes('watch-lag', name) ? random.int(200, 5000) : 0),
        currentRevision: () => saga.revision,
        reasonToLetGo: () => (saga.isLetGo ? 'its namespace is being deleted' : undefined),
        isPaused: () => saga.isPaused,
        ended: (id) => books.ended(runKey(id)),
        onError: (error) => fail(`${name}: ${error instanceof Error ? error.stack : String(error)}`),
      },
      died,
    );
    return worker;
  }

  #kill(worker: Worker): void {
    worker.stop();
    // A zombie has a successor already.
    if (worker === this.#leader) this.#stage.scheduler.after(this.#random.int(500, 4_000), () => this.elect(true));
  }

  /** Shows each command to the books as it leaves. */
  #observed(participants: Participants, worker: () => Worker): Participants {
    const { books, note } = this.#stage;
    return {
      send: (id, effect, signal) => {
        const driven = worker().runner.find(id);
        const mark = worker() === this.#leader ? '' : ' (zombie)';
        note(`SEND ${effect.key} epoch ${effect.epoch} send ${effect.send}${mark}`);
        if (driven !== undefined) books.sent(runKey(id), effect, driven.revision);
        return participants.send(id, effect, signal).then((answer) => {
          note(`ANSWER ${effect.key} send ${effect.send}: ${JSON.stringify(answer)}`);
          return answer;
        });
      },
    };
  }
}
