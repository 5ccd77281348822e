import { type Announcement, announcementOf, type Mail } from '@mercato/operator/journals/worker-journal.ts';
import type { SendEffect } from '@mercato/operator/participants/participants.ts';
import { runKey } from '@mercato/operator/saga/command.ts';
import { pivotIndex } from '@mercato/operator/saga/revision.ts';
import type { GivenUp, Revision, RunInput, RunState } from '@mercato/operator/saga/types.ts';
import type { AcquirerEntry } from '@mercato/payment/acquirer/ledger.ts';
import type { CarrierEntry } from '@mercato/shipping/carrier/ledger.ts';
import { type ApiServer, type RunObject, stateOf } from './api-server.ts';
import { BY_HAND } from './definitions.ts';
import { Letters } from './letters.ts';
import { EPOCH } from './node.ts';

/** One order as those see it who have no interest in our being right: the customer, the acquirer, the carrier, and etcd. */
export class Order {
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
  /** What the order service is to be told, by sequence: all that was ever durable, also what was over before anybody could be told. */
  readonly due = new Map<number, Announcement['type']>();
  /** What the order service was told, by sequence. */
  readonly told = new Map<number, Announcement['type']>();
  /** Its status was lost, or its object replaced, or its status edited: what is known of it starts anew. */
  disturbed = false;
  /** What it was applied with, at first and then. */
  readonly inputs: RunInput[];
  /** The last state that was in etcd; once it has ended, the end. */
  last: RunState | undefined;
  /** Its object went before the operator had begun with it. */
  withdrawn = false;
  /** How long it was held or paused, until `heldSince`. */
  heldFor = 0;
  heldSince: number | undefined;
  /** When it was first asked to go on since then: from that moment it may. */
  askedAt: number | undefined;

  constructor(key: string, acceptedAt: number, input?: RunInput) {
    this.key = key;
    this.inputs = input === undefined ? [] : [input];
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
 * The conservation check (docs/concepts/testing.md), from independent observers. Here is what must never
 * happen, checked as it happens; what must be so once all is quiet is in conservation.ts.
 */
export class Books {
  readonly orders = new Map<string, Order>();
  /** What people left for runs of a worker journal. */
  readonly letters = new Letters((text) => this.#fail(text));
  readonly #api: () => ApiServer;
  readonly #now: () => number;
  /** There was a worker that went on without its lease: what it did not hear of, it does not respect. */
  zombies = false;
  /** The first thing that must never happen and did. */
  violation: string | undefined;

  constructor(api: () => ApiServer, now: () => number) {
    this.#api = api;
    this.#now = now;
  }

  accept(key: string, input: RunInput): void {
    this.orders.set(key, new Order(key, this.#now(), input));
  }

  disturb(key: string, changed?: RunInput): void {
    const order = this.orders.get(key);
    if (order === undefined) return;
    order.disturbed = true;
    if (changed !== undefined) order.inputs.push(changed);
  }

  /** A command leaves a worker. Whatever allows it must be in etcd by now (design rule 2). */
  sent(key: string, effect: SendEffect, revision: Revision): void {
    const order = this.#order(key);
    this.#checkBody(order, effect);
    const object = this.#api().get(key);
    const state = stateOf(object);
    // Its order may have ended and been applied again since: what a zombie knows of is another object.
    const isReborn = this.zombies && order.last?.ended !== undefined;
    const isEdited = object?.status !== undefined && state === undefined;
    if (order.disturbed || object === undefined || isEdited || isReborn) return;
    const index = revision.steps.findIndex(({ name }) => name === effect.step);
    if (effect.kind === 'compensation') this.#checkCompensation(effect, state);
    else if (index >= pivotIndex(revision)) this.#checkPivot(effect, state, revision);
    const known = state?.steps[index]?.[effect.kind].epoch ?? 1;
    if (effect.epoch > known)
      this.#fail(`${effect.key} is sent with epoch ${effect.epoch} before a decision for it is durable`);
    if (this.zombies) return;
    if (state?.hold !== undefined) this.#fail(`${effect.key} is sent although the run is held (${state.hold.reason})`);
    if (state?.ended !== undefined) this.#fail(`${effect.key} is sent although the run has ended`);
  }

  /** Identity: a key always carries the same body, but for what a person supplied by hand. */
  #checkBody(order: Order, effect: SendEffect): void {
    const body = JSON.stringify(effect.body);
    const known = order.bodies.get(effect.key);
    order.bodies.set(effect.key, body);
    if (known === undefined || known === body || order.disturbed || body.includes(BY_HAND)) return;
    this.#fail(`${effect.key} is sent with another body: ${body}, before ${known}`);
  }

  #checkCompensation(effect: SendEffect, state: RunState | undefined): void {
    if (state?.direction !== 'Backward')
      this.#fail(`${effect.key} is sent before the decision to compensate is durable`);
  }

  #checkPivot(effect: SendEffect, state: RunState | undefined, revision: Revision): void {
    if (state?.pivotIntent !== true) this.#fail(`${effect.key} is sent before the pivot's intent is durable`);
    const missing = state?.steps.slice(0, pivotIndex(revision)).find((step) => step.output === undefined);
    if (missing !== undefined) this.#fail(`${effect.key} is sent before the output of ${missing.name} is durable`);
  }

  /** The order service was told of a run: it must be durable by then. */
  told(key: string, { type, sequence }: Announcement): void {
    const order = this.#order(key);
    const state = stateOf(this.#api().get(key));
    order.told.set(sequence, type);
    if (state === undefined) return this.#fail(`${key} is announced as ${type}, and there is no run of it`);
    const isEnd = type === 'succeeded' || type === 'compensated' || type === 'aborted';
    if (isEnd && state.ended?.toLowerCase() !== type)
      this.#fail(`${key} is announced as ${type} before that is durable`);
    if (sequence > 2 * state.holds + 1)
      this.#fail(`${key} is announced as ${type} (${sequence}) after ${state.holds} holds`);
  }

  /** Whether the order service was told of its end. */
  isTold(key: string): boolean {
    const order = this.orders.get(key);
    const end = order?.last?.ended?.toLowerCase();
    return end !== undefined && order?.told.get(2 * (order.last?.holds ?? 0) + 1) === end;
  }

  /** What was durable and the order service was never told of, as sentences. */
  untold(): string[] {
    return [...this.orders.values()].flatMap(({ key, due, told }) =>
      [...due]
        .filter(([sequence]) => !told.has(sequence))
        .map(([sequence, type]) => `${key} was ${type} (${sequence}), and nobody was told`),
    );
  }

  /** Somebody was told that the run has ended. */
  ended(key: string): void {
    const object = this.#api().get(key);
    if (object !== undefined && stateOf(object)?.ended === undefined && !this.#order(key).disturbed)
      this.#fail(`${key} is said to have ended before that is durable`);
  }

  /** Something that was left for an open run is taken away: its effect must be durable by then. */
  settled(key: string, mail: Mail): void {
    const state = stateOf(this.#api().get(key));
    if (state?.ended !== undefined) return;
    const seen = state?.observedDecision;
    const shows =
      mail.type === 'Cancel'
        ? state?.cancel !== undefined
        : seen?.holdId === mail.decision.holdId && seen.do === mail.decision.do;
    if (!shows) this.#fail(`${key}: ${mail.type} is taken away before the run shows what came of it`);
  }

  /** Another worker has the run from now on. @param lives whether the one that had it is alive, as far as anybody has declared */
  taken(key: string, from: string, lives: boolean): void {
    if (lives) this.#fail(`${key} is taken from ${from}, which lives`);
  }

  /** A worker was declared dead. @param silent since its last sign of life was durable @param mayAct how long it may act after one. Milliseconds */
  declaredDead(life: string, silent: number, mayAct: number): void {
    if (silent < mayAct) this.#fail(`${life} is declared dead after ${silent} ms, when it may still act`);
  }

  /** The pause is over. */
  resumed(): void {
    for (const order of this.orders.values()) this.#asked(order);
  }

  #asked(order: Order): void {
    if (order.heldSince !== undefined) order.askedAt ??= this.#now();
  }

  changed(object: RunObject, before: RunObject | undefined): void {
    const key = runKey(object.id);
    const order = this.#order(key);
    if (object.decision !== before?.decision || object.deleting !== before?.deleting) this.#asked(order);
    const state = stateOf(object);
    const old = stateOf(before);
    this.#measureHold(order, state);
    if (state === undefined) return;
    const announcement = announcementOf(object.id, state, 0);
    if (announcement !== undefined) order.due.set(announcement.sequence, announcement.type);
    const comparable = old !== undefined && !order.disturbed;
    if (comparable && old.ended !== undefined && state.ended !== old.ended)
      this.#fail(`${key} had ended (${old.ended}) and went on`);
    if (comparable && old.direction === 'Backward' && state.direction === 'Forward')
      this.#fail(`${key} compensated and went forward again`);
    if (comparable && old.revision !== state.revision)
      this.#fail(`${key} began with revision ${old.revision} and has ${state.revision} now`);
    this.#checkDecision(key, state, old, comparable);
    this.#checkDeadline(order, state, old);
    // What follows a remembered end is a recall of it, or the word of a worker that had not heard.
    const isOver = this.#api().finished.has(key) && order.last?.ended !== undefined;
    if (!isOver && (state.ended !== undefined || order.last?.ended === undefined || order.disturbed))
      order.last = state;
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
      order.heldFor += (order.askedAt ?? this.#now()) - order.heldSince;
      order.heldSince = undefined;
      order.askedAt = undefined;
    }
  }

  /** Design rule 9: the budget is what the run was active, by a clock that does not jump. */
  #checkDeadline(order: Order, state: RunState, old: RunState | undefined): void {
    const exceeded = state.cause?.reason === 'DeadlineExceeded' || state.hold?.reason === 'DeadlineExceeded';
    const before = old?.cause?.reason === 'DeadlineExceeded' || old?.hold?.reason === 'DeadlineExceeded';
    const revision = this.#api().revisions.get(state.revision);
    if (!exceeded || before || order.disturbed || revision === undefined) return;
    if (state.pivotIntent) this.#fail(`${order.key} is stopped by its deadline past the pivot`);
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
