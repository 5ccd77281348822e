import type { Decision, RunId, RunInput } from '@mercato/operator/saga/types.ts';
import type { Node } from './node.ts';

/** A process of the operator, as the world disturbs it. */
export interface Process {
  readonly node: Node;
  /** The OrderSaga has changed. */
  sagaChanged(): void;
  /** The end of the process: nothing more is sent or written. */
  stop(): void;
}

/** The operator's processes over one of the journals: who leads, who died, and who goes on although it leads no more. */
export interface Crew {
  /** Who leads. Of processes that share the work one, another each time that it is asked for. */
  readonly leader: Process | undefined;
  /** A new process leads from now on; where they share the work, all begin. `died`: whoever led before did not hand over. */
  elect(died: boolean): void;
  /** One is replaced behind its back, and goes on with what it has until it hears of that. */
  makeZombie(): void;
  /** Who was replaced hears of it now. Absent where no status can be lost. */
  endZombies?(): void;
  /** One hands over in good order: a new version of the operator. */
  handOver(): void;
  /** All stop. */
  end(): void;
}

/** How orders and what people want of them reach the operator. */
export interface Desk {
  /** The order is accepted, and its run is to begin; also when it comes again. */
  place(id: RunId, input: RunInput): void;
  /** The customer does not want it any more. */
  cancel(key: string): void;
  /** A person decides how a held run goes on. */
  decide(key: string, decision: Decision): void;
}
