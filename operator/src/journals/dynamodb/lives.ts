import type { Clock } from '../../runtime/clock.ts';
import { IncarnationLost } from '../worker-journal.ts';
import type { Counts } from './book.ts';
import type { Chance } from './chance.ts';
import { type Incarnation, type Item, LIVES, lifeKey, N, numberOf, S, textOf } from './keys.ts';
import type { Ticket } from './ledger.ts';
import type { Store } from './store.ts';

export type Standing = 'Alive' | 'Dead' | 'HandedOver';

/** A worker's life as the table has it. */
export interface Life {
  readonly incarnation: Incarnation;
  readonly standing: Standing;
  /** Rises with each beat. */
  readonly beats: number;
  /** Every announcement of this life below it was told. */
  readonly watermark: Ticket;
  readonly counts: Counts;
}

/** Milliseconds without a beat, on the clock of whoever watches, after which a worker is declared dead. */
export const SILENCE_MILLIS = 9_000;
/**
 * After this long without a beat, on its own clock, a worker has to stop, or to ask whether it lives. Less than {@link SILENCE_MILLIS}, for clocks of
 * unequal speed.
 */
export const FENCE_MILLIS = 7_000;

/** What a beat tells the others. */
export interface Told {
  readonly watermark: Ticket;
  readonly counts: Counts;
}

/**
 * The lives of all workers, and this worker's own. A life is an item; a beat changes it. Whoever sees an item unchanged for {@link SILENCE_MILLIS} of
 * its own monotonic clock declares the life dead, by a write that depends on the beat that it saw: wall clocks are never compared, and a worker that
 * beat meanwhile lives on.
 */
export class Lives {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #chance: Chance;
  /** When each life's last beat was seen first. */
  readonly #seen = new Map<Incarnation, { readonly beats: number; readonly at: number }>();
  #known: readonly Life[] = [];
  #lookedAt = Number.NEGATIVE_INFINITY;
  #own: Incarnation | undefined;
  #over: string | undefined;
  #beganBeat = Number.NEGATIVE_INFINITY;

  constructor(store: Store, clock: Clock, chance: Chance) {
    this.#store = store;
    this.#clock = clock;
    this.#chance = chance;
  }

  /** This worker's life. @throws IncarnationLost when it is over @throws Error before it began */
  get own(): Incarnation {
    if (this.#over !== undefined) throw new IncarnationLost(this.#over);
    if (this.#own === undefined) throw new Error('the journal is not open: call open() before it is written to');
    return this.#own;
  }

  /** This worker's life, if it has begun, also when it is over. */
  get mine(): Incarnation | undefined {
    return this.#own;
  }

  /** Begins a life. @throws JournalUnavailable; then call it again */
  async begin(name: string): Promise<Incarnation> {
    const incarnation = `${name}-${this.#chance.name(6)}`;
    const begun = this.#clock.monotonic();
    const life = { standing: S('Alive'), beats: N(0), watermark: N(1), begunAt: N(this.#clock.wall()) };
    await this.#store.put({ ...lifeKey(incarnation), ...life }, 'attribute_not_exists(#pk)');
    this.#own = incarnation;
    this.#beganBeat = begun;
    await this.look();
    return incarnation;
  }

  /** @throws IncarnationLost when this life was declared dead */
  async beat(told: Told): Promise<void> {
    const begun = this.#clock.monotonic();
    await this.#change(told, '#beats = #beats + :one', { ':one': N(1) });
    this.#beganBeat = begun;
  }

  /** Ends this life in good order. @throws IncarnationLost when it was declared dead before */
  async handOver(told: Told): Promise<void> {
    await this.#change(told, '#standing = :standing', { ':standing': S('HandedOver') }, 'HandedOver');
    this.#over = `${this.#own} has handed over`;
  }

  /** This life is over: somebody else drives what was its. */
  lose(why: string): void {
    this.#over ??= `${this.#own} was declared dead: ${why}`;
  }

  /**
   * Whether nobody can have declared this life dead before now. Where it is false, only a beat can tell: what was made under this life after it was
   * declared dead is not certain to be found by others.
   */
  get isCertain(): boolean {
    return this.#clock.monotonic() - this.#beganBeat < FENCE_MILLIS;
  }

  /** All lives, as of at most `maxAge` milliseconds ago; those that were silent for too long are declared dead first. Eventually consistent. */
  async look(maxAge = 0): Promise<readonly Life[]> {
    const asked = this.#clock.monotonic();
    if (maxAge > 0 && asked - this.#lookedAt < maxAge) return this.#known;
    const lives = await this.#load();
    const now = this.#clock.monotonic();
    this.#known = await Promise.all(
      lives.map((life) => (this.#isSilent(life, asked, now) ? this.#declareDead(life) : life)),
    );
    this.#lookedAt = asked;
    const known = new Set(lives.map(({ incarnation }) => incarnation));
    for (const incarnation of this.#seen.keys()) if (!known.has(incarnation)) this.#seen.delete(incarnation);
    return this.#known;
  }

  /** A life as it was when looked at last. */
  known(incarnation: Incarnation): Life | undefined {
    return this.#known.find((life) => life.incarnation === incarnation);
  }

  /** Whether there is such a life, whatever its standing. Consistent. */
  async exists(incarnation: Incarnation): Promise<boolean> {
    if (this.known(incarnation) !== undefined) return true;
    return (await this.#store.get(lifeKey(incarnation))) !== undefined;
  }

  /** Strikes a life of which nothing is left. */
  async strike(incarnation: Incarnation): Promise<void> {
    await this.#store.delete(lifeKey(incarnation), '#standing <> :alive', { ':alive': S('Alive') });
    this.#known = this.#known.filter((life) => life.incarnation !== incarnation);
  }

  /** @param reached the standing that says that the change was made before, and its answer lost */
  async #change({ watermark, counts }: Told, set: string, values: Item, reached?: Standing): Promise<void> {
    const own = this.own;
    const written = await this.#store.update(lifeKey(own), {
      update: `SET ${set}, #watermark = :watermark, #counts = :counts`,
      when: '#standing = :alive',
      values: {
        ...values,
        ':alive': S('Alive'),
        ':watermark': N(watermark),
        ':counts': S(JSON.stringify([...counts])),
      },
    });
    if (written.done || (reached !== undefined && textOf(written.found ?? {}, 'standing') === reached)) return;
    this.lose(`it was silent for ${SILENCE_MILLIS} ms or more`);
    throw new IncarnationLost(this.#over);
  }

  async #load(): Promise<Life[]> {
    const lives: Life[] = [];
    for (let next: Item | undefined, first = true; first || next !== undefined; first = false) {
      const page = await this.#store.query({ of: ['pk', LIVES], after: next });
      lives.push(...page.items.map(lifeOf));
      next = page.next;
    }
    return lives;
  }

  #isSilent({ incarnation, standing, beats }: Life, asked: number, now: number): boolean {
    if (standing !== 'Alive' || incarnation === this.#own) return false;
    const seen = this.#seen.get(incarnation);
    if (seen !== undefined && seen.beats === beats) return asked - seen.at >= SILENCE_MILLIS;
    // From when the answer is here: the beat was certainly made before.
    this.#seen.set(incarnation, { beats, at: now });
    return false;
  }

  async #declareDead(life: Life): Promise<Life> {
    const written = await this.#store.update(lifeKey(life.incarnation), {
      update: 'SET #standing = :dead',
      when: '#standing = :alive AND #beats = :beats',
      values: { ':dead': S('Dead'), ':alive': S('Alive'), ':beats': N(life.beats) },
      answer: true,
    });
    const item = written.done ? written.item : written.found;
    return item === undefined ? life : lifeOf(item);
  }
}

function lifeOf(item: Item): Life {
  return {
    incarnation: textOf(item, 'sk') ?? '',
    standing: (textOf(item, 'standing') ?? 'Alive') as Standing,
    beats: numberOf(item, 'beats') ?? 0,
    watermark: numberOf(item, 'watermark') ?? 1,
    counts: new Map(JSON.parse(textOf(item, 'counts') ?? '[]') as [string, { active: number; held: number }][]),
  };
}
