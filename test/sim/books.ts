import type { DatabaseSync } from 'node:sqlite';
import type { SendEffect } from '@mercato/operator/participants/participants.ts';
import { runKey, totalOf } from '@mercato/operator/saga/command.ts';
import { pivotIndex } from '@mercato/operator/saga/revision.ts';
import type { GivenUp, Revision, RunInput, RunState } from '@mercato/operator/saga/types.ts';
import type { AcquirerEntry } from '@mercato/payment/acquirer/ledger.ts';
import type { CarrierEntry } from '@mercato/shipping/carrier/ledger.ts';
import { type ApiServer, type RunObject, stateOf } from './api-server.ts';
import { EPOCH } from './node.ts';

/** One order as those see it who have no interest in our being right: the customer, the acquirer, the carrier, and etcd. */
class Order {
  readonly key: string;
  /** When the customer was told that it is accepted. */
  readonly acceptedAt: number;
  /** Authorisations that were approved, by the acquirer's id. */
  readonly authorisations = new Map<
    string,
    { readonly amount: number; readonly endsAt: number; voided: boolean; captured: number }
  >();
  /** Bookings that the carrier took, by its id. */
  readonly bookings = new Map<string, 'booked' | 'picked-up' | 'cancelled' | 'pending'>();
  /** Bodies by idempotency key. */
  readonly bodies = new Map<string, string>();
  /** Its status was lost, or its object replaced, or its status edited: what is known of it starts anew. */
  disturbed = false;
  /** It was applied again with another content. */
  changed = false;
  /** The last state that was in etcd, and the input beside it. */
  last: { readonly state: RunState; readonly input: RunInput } | undefined;
  /** Its object went before the operator had begun with it. */
  withdrawn = false;
  /** How long it was held or paused, until `heldSince`. */
  heldFor = 0;
  heldSince: number | undefined;

  constructor(key: string, acceptedAt: number) {
    this.key = key;
    this.acceptedAt = acceptedAt;
  }

  get captured(): number {
    return [...this.authorisations.values()].reduce((sum, { captured }) => sum + captured, 0);
  }

  get liveBookings(): number {
    return [...this.bookings.values()].filter((state) => state !== 'cancelled').length;
  }

  openAuthorisations(now: number): number {
    return [...this.authorisations.values()].filter((one) => !one.voided && one.captured === 0 && one.endsAt > now)
      .length;
  }
}

/**
 * The conservation check (design.md), from independent observers. What must never happen is checked as it happens ({@link Books.violation}); what must
 * be so once all is quiet is in {@link Books.problems}.
 */
export class Books {
  readonly orders = new Map<string, Order>();
  readonly #api: () => ApiServer;
  readonly #now: () => number;
  /** The first thing that must never happen and did. */
  violation: string | undefined;

  constructor(api: () => ApiServer, now: () => number) {
    this.#api = api;
    this.#now = now;
  }

  accept(key: string): void {
    this.orders.set(key, new Order(key, this.#now()));
  }

  disturb(key: string, changed: boolean): void {
    const order = this.orders.get(key);
    if (order === undefined) return;
    order.disturbed = true;
    order.changed ||= changed;
    if (changed) order.bodies.clear();
  }

  /** A command leaves a worker. Whatever allows it must be in etcd by now (design rule 2). */
  sent(key: string, effect: SendEffect, revision: Revision, isLeader: boolean): void {
    const order = this.#order(key);
    const body = JSON.stringify(effect.body);
    const known = order.bodies.get(effect.key);
    if (known !== undefined && known !== body && !order.disturbed)
      this.#fail(`${effect.key} is sent with another body: ${body}, before ${known}`);
    order.bodies.set(effect.key, body);
    const object = this.#api().get(key);
    const state = stateOf(object);
    if (order.disturbed || object === undefined || (object.status !== undefined && state === undefined)) return;
    if (effect.kind === 'compensation' && state?.direction !== 'Backward')
      this.#fail(`${effect.key} is sent before the decision to compensate is durable`);
    const index = revision.steps.findIndex(({ name }) => name === effect.step);
    if (effect.kind === 'action' && index >= pivotIndex(revision)) {
      if (state?.pivotIntent !== true) this.#fail(`${effect.key} is sent before the pivot's intent is durable`);
      const missing = state?.steps.slice(0, pivotIndex(revision)).find((step) => step.output === undefined);
      if (missing !== undefined) this.#fail(`${effect.key} is sent before the output of ${missing.name} is durable`);
    }
    const step = state?.steps[index];
    const delivery = effect.kind === 'action' ? step?.action : step?.compensation;
    if (effect.epoch > Math.max(1, delivery?.epoch ?? 1))
      this.#fail(`${effect.key} is sent with epoch ${effect.epoch} before a decision for it is durable`);
    if (isLeader && state?.hold !== undefined)
      this.#fail(`${effect.key} is sent although the run is held (${state.hold.reason})`);
    if (isLeader && state?.ended !== undefined) this.#fail(`${effect.key} is sent although the run has ended`);
  }

  /** Somebody was told that the run has ended. */
  ended(key: string): void {
    const object = this.#api().get(key);
    if (object !== undefined && stateOf(object)?.ended === undefined && !this.#order(key).disturbed)
      this.#fail(`${key} is said to have ended before that is durable`);
  }

  changed(object: RunObject, before: RunObject | undefined): void {
    const key = runKey(object.id);
    const order = this.#order(key);
    const state = stateOf(object);
    const old = stateOf(before);
    this.#measureHold(order, state);
    if (state === undefined) return;
    const comparable = old !== undefined && !order.disturbed;
    if (comparable && old.ended !== undefined && state.ended !== old.ended)
      this.#fail(`${key} had ended (${old.ended}) and went on`);
    if (comparable && old.direction === 'Backward' && state.direction === 'Forward')
      this.#fail(`${key} compensated and went forward again`);
    if (comparable && old.revision !== state.revision)
      this.#fail(`${key} began with revision ${old.revision} and has ${state.revision} now`);
    this.#checkDecision(key, state, old, comparable);
    this.#checkDeadline(order, state, old);
    if (state.ended !== undefined || order.last?.state.ended === undefined || order.disturbed)
      order.last = { state, input: object.input };
  }

  #checkDecision(key: string, state: RunState, old: RunState | undefined, comparable: boolean): void {
    const { observedDecision: seen } = state;
    if (!comparable || seen?.outcome !== 'Accepted' || seen.holdId === old?.observedDecision?.holdId) return;
    if (old?.hold?.id !== seen.holdId)
      this.#fail(`${key} accepted a decision for hold ${seen.holdId} while it was in ${old?.hold?.id ?? 'none'}`);
  }

  #measureHold(order: Order, state: RunState | undefined): void {
    const stopped = state !== undefined && (state.hold !== undefined || state.paused);
    if (stopped && order.heldSince === undefined) order.heldSince = this.#now();
    if (!stopped && order.heldSince !== undefined) {
      order.heldFor += this.#now() - order.heldSince;
      order.heldSince = undefined;
    }
  }

  /** Design rule 9: the budget is what the run was active, by a clock that does not jump. */
  #checkDeadline(order: Order, state: RunState, old: RunState | undefined): void {
    const exceeded = state.cause?.reason === 'DeadlineExceeded' || state.hold?.reason === 'DeadlineExceeded';
    const before = old?.cause?.reason === 'DeadlineExceeded' || old?.hold?.reason === 'DeadlineExceeded';
    const revision = this.#api().revisions.get(state.revision);
    if (!exceeded || before || order.disturbed || revision === undefined) return;
    const active = this.#now() - order.acceptedAt - order.heldFor;
    if (active < revision.deadline)
      this.#fail(`${order.key} used up its deadline of ${revision.deadline} ms after ${active} ms`);
  }

  removed(key: string): void {
    const order = this.#order(key);
    if (order.last === undefined) order.withdrawn = true;
  }

  recorded(key: string, entry: GivenUp): void {
    const state = stateOf(this.#api().get(key));
    if (state === undefined || this.#order(key).disturbed) return;
    if (
      !state.givenUp.some(
        (one) => one.step === entry.step && one.decision === entry.decision && one.kind === entry.kind,
      )
    )
      this.#fail(`${key} has an exception record for ${entry.step} before the run says so`);
  }

  acquirer(entry: AcquirerEntry): void {
    const order = this.#order(entry.orderKey);
    if (entry.outcome !== 'approved') {
      if (entry.operation === 'void' && entry.reason === 'already_captured' && !order.disturbed)
        this.#fail(`${order.key} is compensated although its payment was captured`);
      return;
    }
    switch (entry.operation) {
      case 'authorise':
        if (order.openAuthorisations(this.#now()) > 0) this.#fail(`${order.key} has two open authorisations`);
        order.authorisations.set(entry.id ?? '', {
          amount: entry.amount,
          endsAt: Date.parse(entry.expiresAt ?? '') - EPOCH,
          voided: false,
          captured: 0,
        });
        return;
      case 'capture': {
        const authorisation = order.authorisations.get(entry.target ?? '');
        if (order.captured > 0) this.#fail(`${order.key} is captured twice`);
        if (authorisation !== undefined) authorisation.captured += entry.amount;
        return;
      }
      case 'void': {
        const authorisation = order.authorisations.get(entry.target ?? '');
        if (authorisation !== undefined) authorisation.voided = true;
        if (order.captured > 0 && !order.disturbed)
          this.#fail(`${order.key} is compensated although its payment was captured`);
        this.#checkOrderOfCompensation(order);
        return;
      }
      case 'refund':
        this.#fail(`${order.key} is refunded, which no step does`);
    }
  }

  /** Reverse order: the shipment, which comes after the payment, is called off first. */
  #checkOrderOfCompensation(order: Order): void {
    const state = stateOf(this.#api().get(order.key));
    const book = state?.steps.find(({ name }) => name === 'book-shipment');
    const gaveUp = state?.givenUp.some(({ step, kind }) => step === 'book-shipment' && kind === 'compensation');
    if (order.disturbed || state?.direction !== 'Backward' || book?.action.state !== 'Succeeded' || gaveUp) return;
    if (order.liveBookings > 0) this.#fail(`${order.key}: the payment is voided while the shipment is still booked`);
  }

  carrier(entry: CarrierEntry): void {
    const order = this.#order(entry.orderKey);
    const id = entry.id ?? '';
    switch (entry.outcome) {
      case 'booked':
      case 'pending':
        if (!order.bookings.has(id) && order.liveBookings > 0) this.#fail(`${order.key} is booked twice`);
        order.bookings.set(id, entry.outcome);
        return;
      case 'refused':
        if (entry.operation === 'reject') order.bookings.delete(id);
        return;
      case 'picked-up':
        order.bookings.set(id, 'picked-up');
        return;
      case 'cancelled':
        order.bookings.set(id, 'cancelled');
        if (order.captured > 0 && !order.disturbed)
          this.#fail(`${order.key}: the shipment is called off although the payment was captured`);
    }
  }

  /** What must be so once all is quiet, and is not. */
  problems(inventory: DatabaseSync): string[] {
    const reservations = openReservations(inventory);
    const problems = [...stockProblems(inventory)];
    for (const order of this.orders.values()) {
      const report = (text: string) => problems.push(`${order.key}: ${text}`);
      this.#checkOrder(order, reservations.get(order.key) ?? [], report);
    }
    problems.push(...this.#exceptionProblems());
    return problems;
  }

  #checkOrder(order: Order, reserved: Reserved[], report: (text: string) => void): void {
    const { last } = order;
    if (last === undefined && order.withdrawn) {
      if (order.authorisations.size + order.bookings.size + reserved.length > 0)
        report('it was withdrawn, and something was done for it');
      return;
    }
    if (last === undefined) return report('it was accepted, and no run of it was ever written');
    const { state, input } = last;
    const gaveUp = (step: string, kind?: GivenUp['kind']) =>
      state.givenUp.some((entry) => entry.step === step && (kind === undefined || entry.kind === kind));
    const open = order.openAuthorisations(this.#now());
    const committed = reserved.filter((one) => one.state === 'committed');
    switch (state.ended) {
      case 'Succeeded': {
        const total = totalOf(input);
        if (order.captured !== total && !gaveUp('capture-payment'))
          report(`it succeeded: ${order.captured} of ${total} are captured`);
        if (order.liveBookings !== 1 && !gaveUp('book-shipment'))
          report(`it succeeded with ${order.liveBookings} shipments`);
        if (open > 0 && !gaveUp('authorise-payment') && !gaveUp('capture-payment'))
          report(`it succeeded, and ${open} authorisations are open`);
        if (gaveUp('commit-stock') || gaveUp('reserve-stock')) return;
        if (committed.length !== 1 || reserved.length !== 1)
          return report(`it succeeded with ${committed.length} of ${reserved.length} reservations committed`);
        const units = input.lines.reduce((sum, line) => sum + line.quantity, 0);
        if (committed[0]?.units !== units)
          report(`it succeeded: ${committed[0]?.units} of ${units} units are committed`);
        return;
      }
      case 'Compensated':
        if (order.captured > 0) report(`it was compensated: ${order.captured} are captured`);
        if (order.liveBookings > 0 && !gaveUp('book-shipment', 'compensation'))
          report(`it was compensated: ${order.liveBookings} shipments are booked`);
        if (open > 0 && !gaveUp('authorise-payment', 'compensation'))
          report(`it was compensated: ${open} authorisations are open`);
        if (reserved.length > 0 && !gaveUp('reserve-stock', 'compensation') && !gaveUp('commit-stock', 'compensation'))
          report(`it was compensated: ${reserved.length} reservations are open`);
        return;
      case 'Aborted':
        if (order.captured > 0 && !gaveUp('capture-payment')) report('it was aborted: a capture is not on record');
        if (order.liveBookings > 0 && !gaveUp('book-shipment')) report('it was aborted: a shipment is not on record');
        if (open > 0 && !gaveUp('authorise-payment')) report('it was aborted: an authorisation is not on record');
        if (reserved.length > 0 && !gaveUp('reserve-stock') && !gaveUp('commit-stock'))
          report('it was aborted: a reservation is not on record');
        return;
      case undefined:
        if (state.hold === undefined) return report(`it neither ended nor is held: ${JSON.stringify(state)}`);
        if (!this.#mustBeHeld(order, state, input))
          report(`it is held (${state.hold.reason}: ${state.hold.message}) although nothing is wrong any more`);
    }
  }

  /** The oracle: what no Retry can put right, even when all that went wrong is over. */
  #mustBeHeld(order: Order, state: RunState, input: RunInput): boolean {
    const { hold } = state;
    const street = String(input.shipTo['line1']);
    if (hold?.step === 'book-shipment' && hold.kind === 'action') return /undeliverable/.test(street);
    if (hold?.step === 'book-shipment') return /quick_pickup/.test(street);
    if (hold?.reason === 'FingerprintMismatch') return order.changed;
    // A run that began anew after its payment was captured, and turned back: the acquirer refuses the void.
    return order.disturbed && order.captured > 0 && hold?.step === 'authorise-payment';
  }

  #exceptionProblems(): string[] {
    const problems: string[] = [];
    const { exceptions, finished } = this.#api();
    const recorded = [...exceptions.values()].map(({ id, entry }) => ({ key: runKey(id), entry }));
    for (const { key, last, disturbed } of this.orders.values()) {
      const entries = recorded.filter((one) => one.key === key).map(({ entry }) => JSON.stringify(entry));
      const wanted = (last?.state.givenUp ?? []).map((entry) => JSON.stringify(entry));
      for (const entry of wanted)
        if (!entries.includes(entry)) problems.push(`${key}: ${entry} has no exception record`);
      if (!disturbed)
        for (const entry of entries)
          if (!wanted.includes(entry)) problems.push(`${key}: the exception record ${entry} is of nothing`);
      const ended = last?.state.ended;
      if (ended !== undefined && finished.get(key) !== ended)
        problems.push(`${key}: it ended (${ended}), and ${finished.get(key) ?? 'nothing'} is remembered`);
    }
    return problems;
  }

  #order(key: string): Order {
    const order = this.orders.get(key) ?? new Order(key, this.#now());
    if (!this.orders.has(key)) this.#fail(`something was done for ${key}, which nobody ordered`);
    return order;
  }

  /** Nothing is thrown: whoever is being watched would catch it. */
  #fail(text: string): void {
    this.violation ??= text;
  }
}

interface Reserved {
  readonly state: string;
  readonly units: number;
}

/** Goods that are held for orders, by order. */
function openReservations(inventory: DatabaseSync): Map<string, Reserved[]> {
  const rows = inventory
    .prepare(
      `SELECT namespace || '/' || saga || '/' || order_id AS key, state, sum(quantity) AS units
       FROM reservation JOIN reservation_line ON reservation = id WHERE state IN ('reserved', 'committed') GROUP BY id`,
    )
    .all() as unknown as (Reserved & { key: string })[];
  const found = new Map<string, Reserved[]>();
  for (const row of rows) found.set(row.key, [...(found.get(row.key) ?? []), row]);
  return found;
}

/** Counters against the movements, and against the reservations that are open. */
function stockProblems(inventory: DatabaseSync): string[] {
  const rows = inventory
    .prepare(
      `SELECT sku, warehouse, on_hand, reserved, committed,
         (SELECT coalesce(sum(CASE WHEN type IN ('received', 'adjusted', 'returned') THEN quantity WHEN type = 'shipped' THEN -quantity ELSE 0 END), 0)
            FROM movement m WHERE m.sku = s.sku AND m.warehouse = s.warehouse) AS moved,
         (SELECT coalesce(sum(quantity), 0) FROM reservation_line l JOIN reservation r ON r.id = l.reservation
            WHERE l.sku = s.sku AND l.warehouse = s.warehouse AND r.state = 'reserved') AS held,
         (SELECT coalesce(sum(quantity), 0) FROM reservation_line l JOIN reservation r ON r.id = l.reservation
            WHERE l.sku = s.sku AND l.warehouse = s.warehouse AND r.state = 'committed') AS promised
       FROM stock s`,
    )
    .all() as unknown as Record<
    'sku' | 'warehouse' | 'on_hand' | 'reserved' | 'committed' | 'moved' | 'held' | 'promised',
    never
  >[];
  const problems: string[] = [];
  for (const row of rows) {
    const where = `${row.sku} in ${row.warehouse}`;
    if (row.on_hand !== row.moved) problems.push(`${where}: ${row.on_hand} on hand, ${row.moved} by its movements`);
    if (row.reserved !== row.held) problems.push(`${where}: ${row.reserved} reserved, ${row.held} by its reservations`);
    if (row.committed !== row.promised)
      problems.push(`${where}: ${row.committed} committed, ${row.promised} by its reservations`);
    if (row.reserved + row.committed > row.on_hand) problems.push(`${where}: more is promised than is there`);
  }
  return problems;
}
