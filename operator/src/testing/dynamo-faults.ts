import {
  type CancellationReason,
  ConditionalCheckFailedException,
  DynamoDBServiceException,
  InternalServerError,
  ProvisionedThroughputExceededException,
  ThrottlingException,
  TransactionCanceledException,
  TransactionConflictException,
} from '@aws-sdk/client-dynamodb';
import type { Calls, Send } from '../journals/dynamodb/calls.ts';
import type { Item } from '../journals/dynamodb/keys.ts';

/**
 * What becomes of a call. `conflict`, `throttled`, `throughput` and `refused condition` do nothing; `internal` and `unsent` did nothing either, but nobody
 * can know; `answer lost` was carried out before the time-out.
 */
export type DynamoFault =
  | 'conflict'
  | 'throttled'
  | 'throughput'
  | 'refused condition'
  | 'internal'
  | 'unsent'
  | 'answer lost';

export interface Call {
  readonly name: keyof Calls;
  readonly input: Calls[keyof Calls]['input'];
}

/** Which fault a call meets; undefined: none. It may take its time: the call waits for it. */
export type FaultPlan = (call: Call) => DynamoFault | undefined | Promise<DynamoFault | undefined>;

/** What DynamoDB answers, as the SDK reports it. */
export const DYNAMO_ERRORS: Readonly<Record<DynamoFault, () => Error>> = {
  conflict: () => new TransactionConflictException({ $metadata, message: 'Transaction is ongoing for the item' }),
  throttled: () => new ThrottlingException({ $metadata, message: 'Throughput exceeds the current capacity' }),
  throughput: () => new ProvisionedThroughputExceededException({ $metadata, message: 'Rate exceeded' }),
  'refused condition': () => new ConditionalCheckFailedException({ $metadata, message: 'The condition failed' }),
  internal: () => new InternalServerError({ $metadata, message: 'Internal server error' }),
  unsent: timedOut,
  'answer lost': timedOut,
};
const $metadata = {};

/** A condition did not hold. @param found the item, where it was asked for and is there */
export const refused = (found: Item | undefined): Error =>
  new ConditionalCheckFailedException({
    $metadata,
    message: 'The conditional request failed',
    ...(found === undefined ? {} : { Item: { ...found } }),
  });

/** A transaction did nothing; a reason for each of its parts, `None` where that part could have been done. */
export const cancelled = (reasons: CancellationReason[]): Error =>
  new TransactionCanceledException({
    $metadata,
    message: `Transaction cancelled, please refer cancellation reasons for specific reasons [${reasons.map(({ Code }) => Code).join(', ')}]`,
    CancellationReasons: reasons,
  });

/** A request that DynamoDB does not carry out. */
export const invalid = (message: string): Error =>
  new DynamoDBServiceException({ name: 'ValidationException', $fault: 'client', $metadata, message });

function timedOut(): Error {
  return Object.assign(new Error('a request has exceeded the configured 3000 ms requestTimeout'), {
    name: 'TimeoutError',
  });
}

/** A way to DynamoDB on which calls fail as `plan` says, and whose indexes are stale for as long as a test wants. */
export class FaultySend {
  /** How calls fail from now on. @default none does */
  plan: FaultPlan = () => undefined;
  /** Every call that was made, in order; also those that failed. */
  readonly calls: Call[] = [];
  readonly #frozen = new Map<string, Calls['Query']['output']>();
  readonly #through: Send;
  #stale = false;

  constructor(through: Send) {
    this.#through = through;
  }

  readonly send: Send = async (name, input) => {
    this.calls.push({ name, input });
    const fault = await this.plan({ name, input });
    if (fault !== undefined && fault !== 'answer lost') throw DYNAMO_ERRORS[fault]();
    const answer = await this.#answer(name, input);
    if (fault !== undefined) throw DYNAMO_ERRORS[fault]();
    return answer;
  };

  /** The next call that `matches` meets a fault, and no other. */
  failOnce(fault: DynamoFault, matches: (call: Call) => boolean = () => true): void {
    let met = false;
    this.plan = (call) => {
      if (met || !matches(call)) return undefined;
      met = true;
      return fault;
    };
  }

  /** From now on each question to an index is answered as it was the first time; as empty, where it was never asked. */
  freezeIndexes(): void {
    this.#stale = true;
  }

  thawIndexes(): void {
    this.#stale = false;
    this.#frozen.clear();
  }

  async #answer<Name extends keyof Calls>(name: Name, input: Calls[Name]['input']): Promise<Calls[Name]['output']> {
    if (name !== 'Query' || (input as Calls['Query']['input']).IndexName === undefined)
      return this.#through(name, input);
    const question = JSON.stringify(input);
    if (this.#stale) return this.#frozen.get(question) ?? { $metadata, Items: [], Count: 0 };
    const answer = await this.#through(name, input);
    this.#frozen.set(question, answer as Calls['Query']['output']);
    return answer;
  }
}

/** Whether a call changes the table. */
export const isWrite = ({ name }: Call): boolean =>
  name === 'PutItem' || name === 'UpdateItem' || name === 'DeleteItem' || name === 'TransactWriteItems';
