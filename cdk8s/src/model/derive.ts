import type { Model, Service, Zone } from './types.ts';

/** Something that the model says and that cannot be so. The message says which service, what, and what to change. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
}

/** Default port of a service. */
export const PORT = 8080;

/** Where a service answers, metrics and health included. */
export const portOf = ({ port }: Service): number => port ?? PORT;

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
export function scales({ state, scale, component }: Service): boolean {
  return state.kind === 'none' && component !== 'controller' && scale.to > scale.from;
}

/** Whether Kubernetes runs the service with a volume of its own. */
export const isStateful = ({ state }: Service): boolean => state.kind === 'embedded';

/** The services of a zone. */
export const inZone = (model: Model, zone: Zone): Service[] => model.services.filter((each) => each.zone === zone);

/** Whether the service asks the API server for the keys that it checks tokens with. */
export const checksTokens = ({ tokens }: Service): boolean => tokens !== undefined;

/** Who gets a service's events straight from it: those that believe its tokens. */
export function subscribersOf(model: Model, { name }: Service): Service[] {
  return model.services.filter(({ tokens }) => tokens?.eventSenders?.includes(name) === true);
}

/** Whether the service's pods get AWS permissions, where an installation declares AWS resources. */
export function usesAws({ tables = [], queues = [], topics = [], events }: Service): boolean {
  return tables.length + queues.length + topics.length + (events?.publishes.length ?? 0) > 0;
}

/** Whether the service works with the API server's objects. */
export const isController = ({ component }: Service): boolean => component === 'controller';

/**
 * Refuses a model that contradicts itself: a name twice, a call to nobody, events from who does not call, card data outside the card zone or something else inside it,
 * a queue that nobody owns, a scale that goes nowhere.
 * @throws ModelError for the first contradiction
 */
export function checkModel(model: Model): void {
  const names = namesOf(model);
  for (const service of model.services) {
    const { name, scale, cardData, zone } = service;
    const wrong = (what: string): never => {
      throw new ModelError(`${name}: ${what}`);
    };
    if (names.filter((other) => other === name).length > 1) wrong('is there twice; give one another name');
    if (!/^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$/.test(name)) wrong('its name is no DNS label of at most 42 characters');
    calleesOf(model, service);
    if (service.calls.some(({ to }) => to === name)) wrong('calls itself; leave that out');
    for (const sender of service.tokens?.eventSenders ?? [])
      if (!serviceOf(model, sender).calls.some(({ to }) => to === name))
        wrong(`believes events of ${sender}, which does not call it; add the call to ${sender}`);
    const audiences = new Set(subscribersOf(model, service).map(({ tokens }) => tokens?.audience));
    if (audiences.size > 1)
      wrong(`sends events to ${[...audiences].join(' and ')}: each would get the token for the other; use a queue`);
    if (cardData !== (zone === 'card')) wrong('card data lives in the zone card, and nothing else does');
    if (!(scale.from >= 1 && scale.to >= scale.from)) wrong(`scale goes from ${scale.from} to ${scale.to}`);
    const queues = (service.queues ?? []).map((queue) => queue.name);
    for (const { queue } of service.events?.consumes ?? [])
      if (!queues.includes(queue)) wrong(`consumes from ${queue}, which is none of its queues`);
    if (scale.queue !== undefined && !queues.includes(scale.queue.name))
      wrong(`scales on ${scale.queue.name}, which is none of its queues`);
  }
}
