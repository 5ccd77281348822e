import { clip } from '../../api/clip.ts';
import { type Condition, type Observation, setCondition } from '../../api/conditions.ts';
import { MESSAGE_LENGTH, type OrderSagaRun, type OrderSagaRunStatus } from '../../api/ordersagarun.ts';
import type { JournalRecord } from '../../journals/journal.ts';
import { encode } from '../../journals/kubernetes/codec.ts';
import { runConditions } from '../../journals/kubernetes/conditions.ts';
import type { RunSight } from '../../journals/worker-journal.ts';
import { nextAction } from '../../saga/narrate.ts';
import type { Revision, RunId, RunState, WallMillis } from '../../saga/types.ts';

/** What a decision came to that the run itself cannot tell, since it never got it. */
export type Undelivered = 'NotFound' | 'Ended';

/** What a View's status is made from. */
export interface ViewPorts {
  /** The View as it is; its conditions keep the time of their last change. */
  readonly view: OrderSagaRun;
  readonly id: RunId;
  /** Absent: the journal has no such run. */
  readonly sight: RunSight | undefined;
  /** Absent: nobody has it any more; then the status does not say what comes next. */
  readonly revision: Revision | undefined;
  readonly undelivered: Undelivered | undefined;
  readonly now: WallMillis;
}

/**
 * The status that a View shows: that of the run, as an OrderSagaRun of the kubernetes journal would have it, but for the fields that only an engine
 * needs. Nothing in it changes by time alone, so that a View whose run stands still is not written.
 */
export function viewStatus(ports: ViewPorts): OrderSagaRunStatus {
  const { view, id, sight } = ports;
  const generation = view.metadata.generation ?? 0;
  const observe = (list: readonly Condition[] | undefined, observation: Omit<Observation, 'observedGeneration'>) =>
    setCondition(list, { ...observation, observedGeneration: generation }, new Date(ports.now).toISOString());
  const before = observe(view.status?.conditions, acceptance(id, sight));
  const withDecision = (list: readonly Condition[]): Condition[] =>
    ports.undelivered === undefined ? [...list] : [...observe(list, UNDELIVERED[ports.undelivered])];
  const record = sight?.record;
  if (record === undefined || !('state' in record) || record.state === undefined) {
    return {
      observedGeneration: generation,
      ...(record === undefined ? {} : { phase: 'Pending' as const }),
      conditions: withDecision(before),
      nextAction: clip(standstill(id, record), MESSAGE_LENGTH),
    };
  }
  const { state } = record;
  const { journal: _journal, checksum: _checksum, ...fields } = encode(id, state);
  return {
    ...defined(fields),
    observedGeneration: generation,
    conditions: withDecision(runConditions(state, before, generation, new Date(ports.now).toISOString())),
    nextAction: clip(narrated(ports.revision, state), MESSAGE_LENGTH),
  } as OrderSagaRunStatus;
}

/**
 * The status of a View that a person asked for and that is closed, since too many are asked for: nothing of its run, which would go stale.
 * @param share how many Views that people ask for may be open
 */
export function closedStatus(view: OrderSagaRun, share: number, now: WallMillis): OrderSagaRunStatus {
  const message = `${share} Views that people asked for are open, and no more may be (half of --max-views): delete those that nobody needs any more, and this one opens; otherwise it goes by itself, and can be asked for again`;
  const observedGeneration = view.metadata.generation ?? 0;
  const said = view.status?.conditions?.filter(({ type }) => type === 'Accepted');
  const verdict = { type: 'Accepted', status: 'False', reason: 'TooManyViews', message, observedGeneration } as const;
  return {
    observedGeneration,
    conditions: [...setCondition(said, verdict, new Date(now).toISOString())],
    nextAction: clip(`this window is closed: ${message}`, MESSAGE_LENGTH),
  };
}

const UNDELIVERED: Readonly<Record<Undelivered, Omit<Observation, 'observedGeneration'>>> = {
  NotFound: {
    type: 'DecisionAccepted',
    status: 'False',
    reason: 'RunNotFound',
    message: 'there is no run that could follow it',
  },
  Ended: {
    type: 'DecisionAccepted',
    status: 'False',
    reason: 'RunEnded',
    message: 'the run had ended before the decision came',
  },
};

function acceptance(id: RunId, sight: RunSight | undefined): Omit<Observation, 'observedGeneration'> {
  if (sight === undefined) {
    const message = `the journal has no run of order ${id.orderId} with saga ${id.saga}: it never came, or is no longer kept`;
    return { type: 'Accepted', status: 'False', reason: 'RunNotFound', message };
  }
  if ('damaged' in sight.record)
    return { type: 'Accepted', status: 'False', reason: 'JournalDamaged', message: sight.record.damaged };
  if ('newer' in sight.record)
    return { type: 'Accepted', status: 'False', reason: 'JournalTooNew', message: sight.record.newer };
  return { type: 'Accepted', status: 'True', reason: 'RunFound', message: 'a window on the run in the journal' };
}

function standstill(id: RunId, record: JournalRecord | undefined): string {
  if (record === undefined)
    return `nothing: the journal has no run of order ${id.orderId}; this window closes by itself`;
  if ('damaged' in record) return `whoever takes the run over holds it for a person: ${record.damaged}`;
  if ('newer' in record) return `a newer worker goes on with it: ${record.newer}`;
  return 'it was taken in, and begins';
}

/** Told from the run's own clock, which stands with its last write: read at another time, it says the same. */
function narrated(revision: Revision | undefined, state: RunState): string {
  if (revision === undefined) return '';
  const wrote = state.begunAt + state.clock;
  return nextAction(revision, state, (inMillis) => `at ${new Date(wrote + inMillis).toISOString().slice(0, 19)}Z`);
}

function defined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Partial<T>;
}
