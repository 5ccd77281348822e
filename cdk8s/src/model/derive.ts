import type { Door, Model, Service, Zone } from './types.ts';

/** Something that the model says and that cannot be so. The message says which service, what, and what to change. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
}

/** Default port of a service. */
export const PORT = 8080;

/** Where a service answers, metrics and health included; or the port of one of its doors. @throws ModelError */
export function portOf({ name, port, doors = [] }: Service, door?: string): number {
  return door === undefined ? (port ?? PORT) : doorOf({ name, doors }, door).port;
}

/** A door of a service by its name. @throws ModelError */
export function doorOf({ name, doors = [] }: Pick<Service, 'name' | 'doors'>, door: string): Door {
  const found = doors.find((each) => each.name === door);
  if (found === undefined) throw new ModelError(`${name} has no door ${door}`);
  return found;
}

/** The ports of `service` that `caller` opens connections to. */
export function portsCalled(caller: Service, service: Service): number[] {
  const calls = caller.calls.filter(({ to }) => to === service.name);
  return [...new Set(calls.map(({ door }) => portOf(service, door)))];
}

/** A service by its name. @throws ModelError */
export function serviceOf(model: Model, name: string): Service {
  const found = model.services.find((service) => service.name === name);
  if (found === undefined) throw new ModelError(`no service is named ${name}; there are ${namesOf(model).join(', ')}`);
  return found;
}

const namesOf = (model: Model): string[] => model.services.map(({ name }) => name);

/** Who opens connections to a service. */
export function callersOf(model: Model, { name }: Service): Service[] {
  return model.services.filter(({ calls }) => calls.some(({ to }) => to === name));
}

/** Whom a service opens connections to. */
export function calleesOf(model: Model, { calls }: Service): Service[] {
  return calls.map(({ to }) => serviceOf(model, to));
}

/** Whether more than one pod can do a service's work, so that an autoscaler is of use. */
export function scales({ state, scale }: Service): boolean {
  return state.kind === 'none' && scale.to > scale.from;
}

/** Whether Kubernetes runs the service with a volume of its own, if it is not told to keep its books elsewhere ({@link shared}). */
export const isStateful = ({ state }: Service): boolean => state.kind === 'embedded';

/** The service with its books where pods share them; undefined for one that cannot, or that has no other way. */
export function shared(service: Service): Service | undefined {
  const { state } = service;
  return state.kind === 'embedded' && state.shared !== undefined ? { ...service, state: { kind: 'none' } } : undefined;
}

/** Whether some settings let several pods do the service's work. */
export const canScale = (service: Service): boolean => scales(shared(service) ?? service);

/** The services of a zone. */
export const inZone = (model: Model, zone: Zone): Service[] => model.services.filter((each) => each.zone === zone);

/** Whether the service asks the API server for the keys that it checks tokens with. */
export const checksTokens = ({ tokens, component }: Service): boolean =>
  // A controller asks with its own rights.
  tokens !== undefined && component !== 'controller';

/** Who gets a service's events straight from it: those that believe its tokens. */
export function subscribersOf(model: Model, { name }: Service): Service[] {
  return model.services.filter(({ tokens }) => tokens?.eventSenders?.includes(name) === true);
}

/** Whether the service's pods get AWS permissions, where an installation declares AWS resources. */
export function usesAws(service: Service): boolean {
  const { tables = [], sharedTables = [], queues = [], topics = [], events, commands, sendsCommands } = service;
  const stores = tables.length + sharedTables.length + queues.length + topics.length;
  return stores + (events?.publishes.length ?? 0) > 0 || commands !== undefined || sendsCommands === true;
}

/** Whether the service sends traces, where an installation has a collector (docs/concepts/tracing.md). */
export const traces = ({ traces: said, component }: Service): boolean => said ?? component === 'service';

/** Who takes saga commands from a queue, where commands go over queues. */
export const commanded = ({ services }: Model): Service[] => services.filter(({ commands }) => commands !== undefined);

/** The model as it is where commands go over HTTP only: nobody sends or takes them over queues. */
export const withoutCommands = ({ services }: Model): Model => ({ services: services.map(withoutCommandQueue) });

/** One service of {@link withoutCommands}. */
export const withoutCommandQueue = ({ commands: _, sendsCommands: __, ...service }: Service): Service => service;

/** Whether the service works with the API server's objects. */
export const isController = ({ component }: Service): boolean => component === 'controller';

/**
 * Refuses a model that contradicts itself.
 * @throws ModelError for the first contradiction
 */
export function checkModel(model: Model): void {
  for (const service of model.services)
    for (const what of contradictions(model, service)) throw new ModelError(`${service.name}: ${what}`);
}

function* contradictions(model: Model, service: Service): Iterable<string> {
  yield* naming(model, service);
  yield* ways(model, service);
  yield* sizes(service);
  yield* queueing(service);
  yield* declaring(service);
}

function* naming(model: Model, { name }: Service): Iterable<string> {
  if (namesOf(model).filter((other) => other === name).length > 1) yield 'is there twice; give one another name';
  if (!/^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$/.test(name)) yield 'its name is no DNS label of at most 42 characters';
}

function* ways(model: Model, service: Service): Iterable<string> {
  const { name, calls, tokens, cardData, zone } = service;
  for (const { to, door } of calls) portOf(serviceOf(model, to), door);
  if (calls.some(({ to }) => to === name)) yield 'calls itself; leave that out';
  for (const sender of tokens?.eventSenders ?? [])
    if (!serviceOf(model, sender).calls.some(({ to }) => to === name))
      yield `believes events of ${sender}, which does not call it; add the call to ${sender}`;
  const audiences = new Set(subscribersOf(model, service).map((subscriber) => subscriber.tokens?.audience));
  if (audiences.size > 1)
    yield `sends events to ${[...audiences].join(' and ')}: each would get the token for the other; use a queue`;
  if (audiences.size > 0 && service.announces !== undefined)
    yield `sends events to ${[...audiences].join(' and ')} and announces them too: others would get the token for that; use a queue`;
  const condition = unknownCondition(service);
  if (condition !== undefined) yield `has something for ${condition}, which none of its settings can be`;
  if (cardData !== (zone === 'card')) yield 'card data lives in the zone card, and nothing else does';
  // Who sends them would have to be let at the card key.
  if (cardData && service.commands !== undefined) yield 'takes commands from a queue, and card data does not go by one';
}

function* sizes({ scale }: Service): Iterable<string> {
  if (!(scale.from >= 1 && scale.to >= scale.from)) yield `scale goes from ${scale.from} to ${scale.to}`;
}

function* queueing({ queues = [], events, scale }: Service): Iterable<string> {
  const owned = queues.map(({ name }) => name);
  for (const { queue } of events?.consumes ?? [])
    if (!owned.includes(queue)) yield `consumes from ${queue}, which is none of its queues`;
  if (scale.queue !== undefined && !owned.includes(scale.queue.name))
    yield `scales on ${scale.queue.name}, which is none of its queues`;
}

/** What settings stand for must be the service's own; the bus is everybody's. */
function* declaring({ settings = [], tables = [], queues = [], topics = [] }: Service): Iterable<string> {
  const own = { queue: queues, table: tables, topic: topics };
  for (const { name, declared } of settings) {
    if (declared === undefined || declared.kind === 'bus') continue;
    const wanted =
      declared.kind === 'queue' ? declared.queue : declared.kind === 'table' ? declared.table : declared.topic;
    if (!own[declared.kind].some((each) => each.name === wanted))
      yield `its setting ${name} stands for the ${declared.kind} ${wanted}, which it has not got`;
  }
}

/** The first condition of a call or secret that no setting of the service can fulfil, as `processor=strpie`: it would never hold, in silence. */
function unknownCondition({ calls, outside = [], secrets = [], settings = [], state }: Service): string | undefined {
  const sharing = state.kind === 'embedded' ? [{ when: state.shared }] : [];
  const conditions = [...calls, ...outside, ...secrets, ...sharing].flatMap(({ when = {} }) => Object.entries(when));
  const found = conditions.find(([name, value]) => {
    const options = settings.find((setting) => setting.name === name)?.limits?.['enum'];
    return !(Array.isArray(options) && options.includes(value));
  });
  return found?.join('=');
}
