import type { DatabaseSync } from 'node:sqlite';
import { canonicalJson } from '@mercato/operator/saga/canonical.ts';
import { runKey, totalOf } from '@mercato/operator/saga/command.ts';
import type { CommandKind, RunInput, RunState } from '@mercato/operator/saga/types.ts';
import type { ApiServer } from './api-server.ts';
import type { Books, Order } from './books.ts';
import { openReservations, type Reserved, stockProblems } from './stock.ts';

/** What is in place for an order, as the companies and the warehouse see it. */
interface InPlace {
  readonly captured: number;
  readonly shipments: number;
  readonly openAuthorisations: number;
  readonly reserved: readonly Reserved[];
}

/** The conservation check (docs/concepts/testing.md) once all is quiet: what must be so and is not, in sentences. */
export function conservationProblems(books: Books, api: ApiServer, inventory: DatabaseSync, now: number): string[] {
  const reservations = openReservations(inventory);
  const problems = stockProblems(inventory);
  for (const order of books.orders.values()) {
    const inPlace: InPlace = {
      captured: order.captured,
      shipments: order.liveBookings,
      openAuthorisations: order.openAuthorisations(now),
      reserved: reservations.get(order.key) ?? [],
    };
    problems.push(...orderProblems(order, inPlace).map((text) => `${order.key}: ${text}`));
    problems.push(...recordProblems(order, api, books.zombies).map((text) => `${order.key}: ${text}`));
  }
  return problems;
}

function orderProblems(order: Order, inPlace: InPlace): string[] {
  const { last } = order;
  if (last === undefined) return neverBegan(order, inPlace);
  switch (last.ended) {
    case 'Succeeded':
      return succeededProblems(order, last, inPlace);
    case 'Compensated':
      // A run that began anew does not know that it captured. Its void is refused for that, and whoever skips it has it on record.
      return leftProblems(last, inPlace, 'compensated', {
        kind: 'compensation',
        captured: order.disturbed ? ['capture-payment', 'authorise-payment'] : ['capture-payment'],
      });
    case 'Aborted':
      // A run that began anew does not know what it did before.
      return order.disturbed ? [] : leftProblems(last, inPlace, 'aborted');
    default:
      return unfinishedProblems(order, last);
  }
}

function neverBegan(order: Order, { shipments, openAuthorisations, captured, reserved }: InPlace): string[] {
  if (!order.withdrawn) return ['it was accepted, and no run of it was ever written'];
  const isClean = shipments + openAuthorisations + captured + reserved.length === 0;
  return isClean ? [] : ['it was withdrawn, and something was done for it'];
}

/** Completed: exactly the expected captures and shipments, and the goods committed; but for what a person skipped. */
function succeededProblems(order: Order, state: RunState, inPlace: InPlace): string[] {
  const { captured, shipments, openAuthorisations, reserved } = inPlace;
  const gaveUp = (step: string) => isGivenUp(state, step);
  const problems: string[] = [];
  const pays = (input: RunInput) => captured === totalOf(input) || gaveUp('capture-payment');
  const goods = (input: RunInput) => isCommitted(input, reserved) || gaveUp('commit-stock') || gaveUp('reserve-stock');
  if (!order.inputs.some((input) => pays(input) && goods(input))) {
    const [wanted] = order.inputs.map(totalOf);
    problems.push(`it succeeded: ${captured} of ${wanted} captured, committed are ${JSON.stringify(reserved)}`);
  }
  if (shipments !== 1 && !gaveUp('book-shipment')) problems.push(`it succeeded with ${shipments} shipments`);
  if (openAuthorisations > 0 && !gaveUp('authorise-payment') && !gaveUp('capture-payment'))
    problems.push(`it succeeded, and ${openAuthorisations} authorisations are open`);
  return problems;
}

function isCommitted(input: RunInput, reserved: readonly Reserved[]): boolean {
  const units = input.lines.reduce((sum, line) => sum + line.quantity, 0);
  return reserved.length === 1 && reserved[0]?.state === 'committed' && reserved[0].units === units;
}

/** What excuses what is in place: which entries, by their kind, and which step's for money that was captured. */
interface Excuses {
  readonly kind?: CommandKind;
  readonly captured: readonly string[];
}

/** Compensated or aborted: nothing is in place but what is on record. */
function leftProblems(
  state: RunState,
  inPlace: InPlace,
  how: string,
  { kind, captured }: Excuses = { captured: ['capture-payment'] },
): string[] {
  const gaveUp = (...steps: readonly string[]) => steps.some((step) => isGivenUp(state, step, kind));
  const problems: string[] = [];
  if (inPlace.captured > 0 && !gaveUp(...captured)) problems.push(`it was ${how}: ${inPlace.captured} are captured`);
  if (inPlace.shipments > 0 && !gaveUp('book-shipment'))
    problems.push(`it was ${how}: ${inPlace.shipments} shipments are booked`);
  if (inPlace.openAuthorisations > 0 && !gaveUp('authorise-payment'))
    problems.push(`it was ${how}: ${inPlace.openAuthorisations} authorisations are open`);
  if (inPlace.reserved.length > 0 && !gaveUp('reserve-stock', 'commit-stock'))
    problems.push(`it was ${how}: ${inPlace.reserved.length} reservations are open`);
  return problems;
}

function isGivenUp(state: RunState, step: string, kind?: CommandKind): boolean {
  return state.givenUp.some((entry) => entry.step === step && (kind === undefined || entry.kind === kind));
}

function unfinishedProblems(order: Order, state: RunState): string[] {
  const { hold } = state;
  if (hold === undefined) return [`it neither ended nor is held: ${JSON.stringify(state)}`];
  if (mustBeHeld(order, state)) return [];
  return [`it is held (${hold.reason}: ${hold.message}) although nothing is wrong any more`];
}

/** The oracle: what no Retry can put right, even when all that went wrong is over. */
function mustBeHeld(order: Order, state: RunState): boolean {
  const { hold, steps } = state;
  const street = String(order.inputs[0]?.shipTo['line1']);
  if (hold?.step === 'book-shipment' && hold.kind === 'action' && /undeliverable/.test(street)) return true;
  if (hold?.step === 'book-shipment' && hold.kind === 'compensation' && /quick_pickup/.test(street)) return true;
  // What a person supplied in place of a step's output need not be what the step had answered to somebody else.
  if (hold?.reason === 'FingerprintMismatch' && state.givenUp.length > 0) return true;
  // A run that began anew knows less than the participants do. What they refuse for good is for a person to end.
  if (!order.disturbed) return false;
  const step = steps.find(({ name }) => name === hold?.step);
  const refused = step?.action.state === 'Failed' || hold?.reason === 'FingerprintMismatch';
  return refused || (order.captured > 0 && hold?.step === 'authorise-payment');
}

/** Skip, Abort and let-go runs have their exception records and nothing else has; what has ended is remembered. */
function recordProblems(order: Order, api: ApiServer, zombies: boolean): string[] {
  const { last, disturbed, key } = order;
  const recorded = [...api.exceptions.values()].filter(({ id }) => runKey(id) === key).map(({ entry }) => entry);
  const wanted = last?.givenUp ?? [];
  const has = (list: readonly object[], entry: object) =>
    list.some((one) => canonicalJson(one) === canonicalJson(entry));
  const missing = wanted.filter((entry) => !has(recorded, entry));
  const spare = recorded.filter((entry) => !has(wanted, entry));
  // A run that began anew may not know what it gave up before.
  const problems = disturbed ? [] : missing.map((entry) => `${JSON.stringify(entry)} has no exception record`);
  // A worker that lost its lease may find the object gone which its successor has cleared away, and say so.
  const isExcused = disturbed || (zombies && spare.every(({ decision }) => decision === 'LetGo'));
  if (!isExcused) problems.push(...spare.map((entry) => `the exception record ${JSON.stringify(entry)} is of nothing`));
  const remembered = api.finished.get(key);
  const isRemembered = disturbed ? remembered !== undefined : remembered === last?.ended;
  if (last?.ended !== undefined && !isRemembered)
    problems.push(`it ended (${last.ended}), and ${remembered ?? 'nothing'} is remembered`);
  return problems;
}
