import type { Random } from './random.ts';

/**
 * What can go wrong at any moment, each with the range of its probability at each opportunity. A seed has some of them, not all: what only shows when
 * little else goes wrong has its chance too.
 */
const CHANCES = {
  /** A message is lost: the request on its way in, or the answer on its way back. */
  lose: [0.01, 0.2],
  /** A request arrives a second time, perhaps much later. */
  duplicate: [0.02, 0.3],
  /** A message takes seconds, longer than its sender waits. */
  delay: [0.02, 0.2],
  /** Something in between answers instead: a proxy's page, a 401, a 404, a 500, half a body. */
  garble: [0.02, 0.2],
  /** The journal does the write, and the answer is an error, or none comes; in DynamoDB's case it may also not have done it. */
  'journal-timeout': [0.02, 0.2],
  /** A watch, an index or a read that is not consistent is seconds late: the worker acts on what was. */
  'watch-lag': [0.05, 0.5],
  /** The operator dies before or after it does something that others can see. */
  'worker-crash': [0.003, 0.04],
  /** A service dies at one of the kit's crash points. */
  'service-crash': [0.01, 0.08],
  /** Nothing is written, and the answer says so: the disk is full, DynamoDB throttles or has a conflict. */
  'disk-full': [0.02, 0.25],
} as const satisfies Record<string, readonly [number, number]>;

export type FaultKind = keyof typeof CHANCES;

/** What can happen to a world as a whole; each comes with the moments at which it happens, in milliseconds. */
const EVENTS = {
  /** The leader loses its lease, does not notice for a while, and goes on; a worker stands still, or does not reach its table. */
  zombie: 2,
  /** The leader hands over in good order: a new version of the operator. */
  handover: 2,
  /** A service is away for some seconds. */
  outage: 2,
  /** The wall clock of one machine jumps. */
  'clock-jump': 4,
  /** The OrderSaga changes: runs that begin from now on have another revision. */
  'new-revision': 1,
  /** The OrderSaga is paused for some seconds. */
  pause: 2,
  /** A backup is restored: a run comes back without its status. */
  'status-lost': 2,
  /** Somebody edits a status by hand. */
  'status-edited': 1,
  /** The namespace is being deleted. */
  'let-go': 1,
  /** A zone loses its power: a worker dies before it wrote what it did, and its runs stand still until their customers think better of it. */
  'power-cut': 1,
} as const satisfies Record<string, number>;

export type EventKind = keyof typeof EVENTS;

export const EVENT_KINDS = Object.keys(EVENTS) as readonly EventKind[];

/** How often a seed has a fault or event of a kind. */
const SHARE: Record<FaultKind | EventKind, number> = {
  lose: 0.4,
  duplicate: 0.4,
  delay: 0.4,
  garble: 0.3,
  'journal-timeout': 0.3,
  'watch-lag': 0.3,
  'worker-crash': 0.45,
  'service-crash': 0.4,
  'disk-full': 0.2,
  zombie: 0.25,
  handover: 0.25,
  outage: 0.35,
  'clock-jump': 0.3,
  'new-revision': 0.3,
  pause: 0.15,
  'status-lost': 0.12,
  'status-edited': 0.08,
  'let-go': 0.03,
  'power-cut': 0.25,
};

/** Some seeds have no fault at all: what fails there fails always. */
const CALM_SHARE = 0.05;

/** While orders come in. Drawn apart, so that seeds without one play as if there were none. */
const POWER_CUT_WITHIN = 12_000;

function powerCuts(random: Random): { readonly kind: EventKind; readonly at: number }[] {
  return random.chance(SHARE['power-cut']) ? [{ kind: 'power-cut', at: random.int(0, POWER_CUT_WITHIN) }] : [];
}

interface Doom {
  readonly kind: FaultKind;
  readonly where: RegExp;
  /** Told where it struck. */
  readonly then: (where: string) => void;
}

/** Which faults strike, and when: a function of the seed, and of the order in which things ask. */
export class Faults {
  readonly chances: ReadonlyMap<FaultKind, number>;
  readonly events: readonly { readonly kind: EventKind; readonly at: number }[];
  /** What struck so far, oldest first. */
  readonly struck: string[] = [];
  readonly #random: Random;
  readonly #note: (text: string) => void;
  /** What is bound to happen at the next opportunity that fits. */
  #doom: Doom | undefined;
  #on = false;

  constructor(random: Random, until: number, note: (text: string) => void, happens: readonly EventKind[]) {
    this.#random = random;
    this.#note = note;
    const plan = random.fork('plan');
    const isCalm = plan.chance(CALM_SHARE);
    const chosen = <Kind extends FaultKind | EventKind>(kinds: object): Kind[] =>
      (Object.keys(kinds) as Kind[]).filter((kind) => plan.chance(SHARE[kind]) && !isCalm);
    this.chances = new Map(
      chosen<FaultKind>(CHANCES).map((kind) => {
        const [least, most] = CHANCES[kind];
        return [kind, least + (most - least) * plan.next() ** 2];
      }),
    );
    const { 'power-cut': _apart, ...others } = EVENTS;
    this.events = chosen<EventKind>(others)
      .filter((kind) => happens.includes(kind))
      .flatMap((kind) => Array.from({ length: plan.int(1, EVENTS[kind]) }, () => ({ kind, at: plan.int(0, until) })))
      .concat(isCalm ? [] : powerCuts(random.fork('power cuts')))
      .sort((a, b) => a.at - b.at);
  }

  /** Whether this kind of fault strikes at this opportunity. */
  strikes(kind: FaultKind, where: string): boolean {
    if (!this.#on) return false;
    const doom = this.#doom?.kind === kind && this.#doom.where.test(where) ? this.#doom : undefined;
    if (doom === undefined && !this.#random.chance(this.chances.get(kind) ?? 0)) return false;
    this.record(`${kind}: ${where}`);
    if (doom !== undefined) this.#doom = undefined;
    doom?.then(where);
    return true;
  }

  /** Has it strike at the next opportunity that fits, whatever the chances: for what matters at one moment only. */
  doom(doom: Doom): void {
    this.#doom = doom;
  }

  /** Puts down that something went wrong. */
  record(text: string): void {
    this.struck.push(text);
    this.#note(`FAULT ${text}`);
  }

  get on(): boolean {
    return this.#on;
  }

  /** From here on things go wrong. */
  begin(): void {
    this.#on = true;
  }

  /** From here on nothing goes wrong any more. */
  end(): void {
    this.#on = false;
  }

  /** The schedule in a few words, for the report of a failing seed. */
  describe(): string {
    const chances = [...this.chances].map(([kind, chance]) => `${kind} ${(chance * 100).toFixed(1)}%`);
    const events = this.events.map(({ kind, at }) => `${kind} at ${(at / 1000).toFixed(1)}s`);
    return [...chances, ...events].join(', ') || 'none';
  }
}
