/** A View that there is, as its keeper sees it. */
export interface KeptView {
  readonly name: string;
  /** A person asked for it; otherwise it shows because its run needs one. */
  readonly asked: boolean;
  /** For how long its run has needed nobody (ended, went on, never was); undefined while it does. Milliseconds. */
  readonly calm: number | undefined;
  /** Milliseconds since it was made. */
  readonly age: number;
}

export interface ViewLimits {
  /** At most so many Views. Those that people ask for count, and are never refused. */
  readonly cap: number;
  /** How long a View stays after its run needed nobody any more. Milliseconds. */
  readonly ttl: number;
  /** How long a View that a person asked for stays where its run needs nobody. Milliseconds. */
  readonly askedTtl: number;
}

export interface Selection {
  /** To be made, the one first whose run waits longest. */
  readonly make: readonly string[];
  /** To be deleted. */
  readonly remove: readonly string[];
}

/**
 * Which Views there are to be. `attention` names the runs that need a person, the longest first. Those show as far as there is room; a View of a run that needs
 * nobody any more goes when its time is over, or when its room is wanted. More than `cap` there never are, unless people ask for more by themselves.
 */
export function select(attention: readonly string[], views: readonly KeptView[], limits: ViewLimits): Selection {
  const asked = views.filter((view) => view.asked);
  const own = new Map(views.filter((view) => !view.asked).map((view) => [view.name, view]));
  const shown = new Set(asked.map(({ name }) => name));
  const room = Math.max(0, limits.cap - asked.length);
  const wanted = new Set(attention.filter((name) => !shown.has(name)).slice(0, room));
  const spare = [...own.values()]
    .filter(({ name, calm }) => !wanted.has(name) && calm !== undefined && calm < limits.ttl)
    .sort((a, b) => (a.calm ?? 0) - (b.calm ?? 0))
    .slice(0, room - wanted.size);
  const kept = new Set([...wanted, ...spare.map(({ name }) => name)]);
  return {
    make: [...wanted].filter((name) => !own.has(name)),
    remove: [
      ...[...own.keys()].filter((name) => !kept.has(name)),
      ...asked
        .filter(({ calm, age }) => calm !== undefined && Math.min(calm, age) >= limits.askedTtl)
        .map(({ name }) => name),
    ],
  };
}
