import {
  type CancellationReason,
  ConditionalCheckFailedException,
  TransactionCanceledException,
} from '@aws-sdk/client-dynamodb';
import { OrdersUnavailable } from '../../ports/orders.ts';

/** Answers that mean that nothing was done and that the same may well be done in a moment. */
const PASSING: Readonly<Record<string, string>> = {
  TransactionConflictException: 'another transaction has the item',
  TransactionConflict: 'another transaction has the item',
  TransactionInProgressException: 'the first copy of this transaction is still under way',
  ThrottlingException: 'it is throttled: the account or the table takes no more for now',
  ThrottlingError: 'it is throttled: the account or the table takes no more for now',
  ProvisionedThroughputExceededException: 'it is throttled: a partition, the table or an index takes no more for now',
  ProvisionedThroughputExceeded: 'it is throttled: a partition, the table or an index takes no more for now',
  RequestLimitExceeded: "the account's throughput is used up: ask AWS for a higher quota",
};

/** Answers that mean that nothing was done, and that will be the same until somebody does something. */
const LASTING: Readonly<Record<string, string>> = {
  ResourceNotFoundException:
    'there is no such table, or it lacks an index: create it as the chart of AWS does, or correct MERCATO_ORDERS_TABLE and AWS_REGION',
  AccessDeniedException: "the service's role may not do this: see docs/reference/aws.md",
  ValidationException: 'it refuses the request itself',
  UnrecognizedClientException: "the service's credentials are not valid",
  ExpiredTokenException: "the service's credentials have expired",
  IdempotentParameterMismatchException: 'a token was used for something else',
};

/** The first part of a transaction whose condition did not hold, and what was found there; undefined where that is not why it failed. */
export function refusedPart(
  error: unknown,
): { readonly part: number; readonly found: CancellationReason['Item'] } | undefined {
  if (!(error instanceof TransactionCanceledException)) return undefined;
  const reasons = error.CancellationReasons ?? [];
  const part = reasons.findIndex(({ Code }) => Code === 'ConditionalCheckFailed');
  return part === -1 ? undefined : { part, found: reasons[part]?.Item };
}

/** Whether it is worth to try again: nothing was done, or it is not known, which the caller can find out. */
export const isPassing = (error: unknown): boolean => !reasonsOf(error).some((reason) => reason in LASTING);

/** What callers of the port get: what DynamoDB said, and what to do. */
export function unavailable(table: string, call: string, error: unknown): OrdersUnavailable {
  if (error instanceof OrdersUnavailable) return error;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const hint = reasonsOf(error)
    .map((reason) => LASTING[reason] ?? PASSING[reason])
    .find((known) => known !== undefined);
  const told = `${call} on table ${table}: ${hint === undefined ? '' : `${hint} `}(${name}: ${message})`;
  return new OrdersUnavailable(told, { cause: error });
}

/** Whether an item's condition did not hold. */
export const isRefused = (error: unknown): error is ConditionalCheckFailedException =>
  error instanceof ConditionalCheckFailedException;

/** A cancelled transaction says a reason for each part; `None` where that part was not why. */
function reasonsOf(error: unknown): readonly string[] {
  if (error instanceof TransactionCanceledException)
    return (error.CancellationReasons ?? []).flatMap(({ Code }) =>
      Code === undefined || Code === 'None' ? [] : [Code],
    );
  return error instanceof Error ? [error.name] : [];
}
