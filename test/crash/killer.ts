import { setTimeout as pause } from 'node:timers/promises';
import { untilReady } from '@mercato/demo/local/process.ts';
import { type ProgramName, specOf } from '@mercato/demo/local/programs.ts';
import type { TemporaryShop } from '@mercato/demo/local/shop.ts';
import type { Kill, Target } from './schedule.ts';

/** A kill as it came to be. */
export interface Killed {
  readonly target: Target;
  /** Since the killer began, in milliseconds. */
  readonly atMs: number;
  /** Runs that the API server had accepted and that had not ended. */
  readonly inFlight: number;
}

/** An operator drives runs after its start, the lease's duration and a retry or two; a machine that does a dozen other things takes longer. */
const DRIVING_TIMEOUT_MS = 180_000;
const POLL_MS = 20;

/** Ends processes of a shop with SIGKILL and starts them again. Plays the kubelet until it is stopped: an operator that ended by itself runs again too. */
export class Killer {
  readonly killed: Killed[] = [];
  /** Operators that ended without being killed: having lost their lease, that is what they are to do. */
  exits = 0;
  readonly #shop: TemporaryShop;
  readonly #beganMs = performance.now();
  readonly #outages = new Map<Target, Promise<void>>();
  readonly #keeping: Promise<void>;
  #isStopped = false;
  #failure: unknown;

  constructor(shop: TemporaryShop) {
    this.#shop = shop;
    this.#keeping = this.#keepOperator();
  }

  /**
   * Kills one after another, each at its moment; outages overlap. Returns when everything works again.
   * @param before called when the nth kill is near: what it is to hit can be sent
   * @throws what kept anything from being started again
   */
  async run(kills: readonly Kill[], inFlight: () => number, before: (nth: number) => Promise<void>): Promise<void> {
    for (const [nth, kill] of kills.entries()) {
      await this.#outages.get(kill.target);
      await before(nth);
      if (kill.when === 'at-work') await this.#untilDriving();
      await pause(kill.delayMs);
      // It may just have ended by itself.
      if (kill.target === 'operator') await this.#untilOperatorRuns();
      this.killed.push({ target: kill.target, atMs: performance.now() - this.#beganMs, inFlight: inFlight() });
      await this.#kill(kill.target);
      this.#outages.set(kill.target, this.#restart(kill));
      if (this.#failure !== undefined) break;
    }
    await Promise.all(this.#outages.values());
    if (this.#failure !== undefined) throw this.#failure;
    await this.#untilDriving();
  }

  /** From now on what ends stays so. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all([this.#keeping, ...this.#outages.values()]);
  }

  #kill(target: Target): Promise<void> {
    return target === 'kube-apiserver' ? this.#shop.plane.killApiServer() : this.#shop.kill(target);
  }

  /** Answers when what was killed works again; the operator is kept by #keepOperator. Never rejects. */
  async #restart({ target, outageMs }: Kill): Promise<void> {
    if (target === 'operator') return;
    try {
      await pause(outageMs);
      if (target === 'kube-apiserver') return await this.#shop.plane.startApiServer();
      await this.#shop.relaunch(target);
      await this.#untilReady(target);
    } catch (error) {
      this.#failure ??= error;
    }
  }

  async #keepOperator(): Promise<void> {
    while (!this.#isStopped) {
      const ended = this.#shop.programs.get('operator')?.ended();
      if (ended !== undefined) {
        if (ended.includes('with status')) this.exits += 1;
        await this.#shop.relaunch('operator').catch((error: unknown) => {
          this.#failure ??= error;
        });
      }
      await pause(POLL_MS);
    }
  }

  #untilReady(name: ProgramName): Promise<void> {
    return untilReady(this.#shop.programs.get(name)!, specOf(this.#shop.site, name, this.#shop.plane));
  }

  #untilOperatorRuns(): Promise<void> {
    return until('the operator runs', async () => this.#shop.programs.get('operator')?.ended() === undefined);
  }

  #untilDriving(): Promise<void> {
    return until('an operator drives runs', () => this.#drives());
  }

  async #drives(): Promise<boolean> {
    try {
      const url = `http://127.0.0.1:${this.#shop.site.ports.operator}/metrics`;
      const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) });
      return /^mercato_run_shards_open [1-9]/m.test(await answer.text());
    } catch {
      // Killed, or not listening yet.
      return false;
    }
  }
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DRIVING_TIMEOUT_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not so after ${DRIVING_TIMEOUT_MS / 1000} s: ${what}`);
    await pause(POLL_MS);
  }
}
