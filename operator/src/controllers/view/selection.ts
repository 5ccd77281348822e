/** A View that there is, as its keeper sees it. */
export interface KeptView {
  readonly name: string;
  /** A person asked for it; otherwise it shows because its run needs one. */
  readonly asked: boolean;
  /** For how long its run has needed nobody (ended, went on, never was); undefined while it does. Milliseconds. */
  readonly calm: number | undefined;
  /** Milliseconds since it was made, by the API server's clock and ours: they may be minutes apart. */
  readonly age: number;
  /** For how long it has been closed; undefined where it is not. Milliseconds. */
  readonly closed?: number | undefined;
}

export interface ViewLimits {
  /** So many Views are open at most. Those that people ask for have half of them, rounded down, where runs that need a person want the rest. */
  readonly cap: number;
  /** How long a View stays after its run needed nobody any more, and one that was closed. Milliseconds. */
  readonly ttl: number;
  /** How long a View that a person asked for stays where its run needs nobody. Milliseconds. */
  readonly askedTtl: number;
}

export interface Selection {
  /** To be made, the one first whose run waits longest. */
  readonly make: readonly string[];
  /** To be deleted. */
  readonly remove: readonly string[];
  /** Asked for beyond what there may be: they stay for a while, say so, and show nothing. */
  readonly close: readonly string[];
}

/** How many Views that people ask for are open at once, those aside that are among the first to need a person. */
export function askedShare(cap: number): number {
  return Math.floor(cap / 2);
}

/**
 * Which Views there are to be. `attention` names the runs that need a person, the longest first. Those show as far as there is room; a View of a run that needs
 * nobody any more goes when its time is over, or when its room is wanted. What people ask for by name has half of the room and no more, whoever asked
 * first: those who list runs by a script are not to hide the ones that wait for a decision. Open are never more than `cap`.
 */
export function select(attention: readonly string[], views: readonly KeptView[], limits: ViewLimits): Selection {
  const { cap, ttl, askedTtl } = limits;
  const share = askedShare(cap);
  const own = new Map(views.filter((view) => !view.asked).map((view) => [view.name, view]));
  const asked = views.filter((view) => view.asked);
  const over = new Set(
    asked.filter(({ calm, age }) => calm !== undefined && Math.min(calm, age) >= askedTtl).map(({ name }) => name),
  );
  // One that was asked for of a run that has its share anyway takes nothing from the others.
  const first = new Set(attention.slice(0, cap - share));
  const inTurn = asked
    .filter(({ name }) => !first.has(name) && !over.has(name))
    .sort((a, b) => b.age - a.age || (a.name < b.name ? -1 : 1));
  const open = new Set(inTurn.slice(0, share).map(({ name }) => name));
  const room = cap - open.size;
  const wanted = new Set(attention.filter((name) => !open.has(name)).slice(0, room));
  const spare = [...own.values()]
    .filter(({ name, calm }) => !wanted.has(name) && calm !== undefined && calm < ttl)
    .sort((a, b) => (a.calm ?? 0) - (b.calm ?? 0))
    .slice(0, room - wanted.size);
  const kept = new Set([...wanted, ...spare.map(({ name }) => name)]);
  const shut = inTurn.slice(share).filter(({ name }) => !wanted.has(name));
  const isOver = ({ closed = 0 }: KeptView): boolean => closed >= ttl;
  const askedFor = new Set(asked.map(({ name }) => name));
  return {
    make: [...wanted].filter((name) => !own.has(name) && !askedFor.has(name)),
    remove: [
      ...[...own.keys()].filter((name) => !kept.has(name)),
      ...over,
      ...shut.filter(isOver).map(({ name }) => name),
    ],
    close: shut.filter((view) => !isOver(view)).map(({ name }) => name),
  };
}
