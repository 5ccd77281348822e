import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { IMAGES } from '@mercato/images/list.ts';
import { expect } from 'chai';
import { search, withSearch } from '../testing/added.ts';
import { callersOf, checkModel, ModelError, scales, subscribersOf } from './derive.ts';
import { mercato } from './mercato.ts';
import { inventory } from './services/inventory.ts';
import { payment } from './services/payment.ts';
import { shipping } from './services/shipping.ts';
import type { Model, Service } from './types.ts';

/** The shop with a service in which something is otherwise. */
const withChanged = (service: Service, changes: Partial<Service>): Model => ({
  services: [...mercato.services.filter(({ name }) => name !== service.name), { ...service, ...changes }],
});

describe('the model', () => {
  it('contradicts itself nowhere', () => {
    checkModel(mercato);
    checkModel(withSearch);
  });

  const refused: Readonly<Record<string, { readonly model: Model; readonly says: string }>> = {
    'a name that is there twice': {
      model: { services: [...mercato.services, { ...search, name: 'inventory', tokens: { audience: 'inventory' } }] },
      says: 'inventory: is there twice; give one another name',
    },
    'a name that no label can have': {
      model: { services: [...mercato.services, { ...search, name: 'Search' }] },
      says: 'Search: its name is no DNS label of at most 42 characters',
    },
    'a call to nobody': {
      model: withChanged(search, { calls: [{ to: 'nobody', why: 'to see' }] }),
      says: 'no service is named nobody; there are',
    },
    'a service that calls itself': {
      model: withChanged(search, { calls: [{ to: 'search', why: 'to see' }] }),
      says: 'search: calls itself; leave that out',
    },
    'card data in the shop': {
      model: withChanged(search, { cardData: true }),
      says: 'search: card data lives in the zone card, and nothing else does',
    },
    'something else in the card zone': {
      model: withChanged(payment, { cardData: false }),
      says: 'payment: card data lives in the zone card, and nothing else does',
    },
    'a scale that goes in': {
      model: withChanged(search, { scale: { from: 3, to: 2 } }),
      says: 'search: scale goes from 3 to 2',
    },
    'no pods': { model: withChanged(search, { scale: { from: 0, to: 2 } }), says: 'search: scale goes from 0 to 2' },
    "events from somebody else's queue": {
      model: withChanged(search, {
        events: { publishes: [], consumes: [{ types: ['a'], queue: 'inventory-events' }] },
      }),
      says: 'search: consumes from inventory-events, which is none of its queues',
    },
    "a scale on somebody else's queue": {
      model: withChanged(search, { scale: { from: 1, to: 2, queue: { name: 'inventory-events', messagesPerPod: 1 } } }),
      says: 'search: scales on inventory-events, which is none of its queues',
    },
    'a call under a setting that there is not': {
      model: withChanged(search, { calls: [{ to: 'inventory', why: 'to see', when: { rnking: 'words' } }] }),
      says: 'search: has something for rnking=words, which none of its settings can be',
    },
    'a secret under a choice that there is not': {
      model: withChanged(payment, {
        secrets: [{ name: 's', key: 'k', variable: 'V', description: 'd', when: { processor: 'strpie' } }],
      }),
      says: 'payment: has something for processor=strpie, which none of its settings can be',
    },
    'events of somebody who has no way to it': {
      model: withChanged(inventory, { tokens: { audience: 'inventory', eventSenders: ['payment'] } }),
      says: 'inventory: believes events of payment, which does not call it; add the call to payment',
    },
    'events for two who would each get the token for the other': {
      model: {
        services: [
          ...mercato.services.filter(({ name }) => name !== 'shipping'),
          { ...shipping, calls: [...shipping.calls, { to: 'search', why: 'to see' }] },
          { ...search, tokens: { audience: 'search', eventSenders: ['shipping'] } },
        ],
      },
      says: 'shipping: sends events to inventory and search: each would get the token for the other; use a queue',
    },
    'announcements of a service whose events go to another with a token': {
      model: withChanged(shipping, { announces: { audience: 'parcels', why: 'where parcels are' } }),
      says: 'shipping: sends events to inventory and announces them too: others would get the token for that; use a queue',
    },
  };
  for (const [what, { model, says }] of Object.entries(refused))
    it(`refuses ${what}`, () => expect(() => checkModel(model)).to.throw(ModelError, says));

  it('names programs that there are, in images that are built', () => {
    for (const { name, program, image } of mercato.services) {
      expect(existsSync(join(import.meta.dirname, '../../..', program)), `${name}: ${program}`).to.equal(true);
      const built = IMAGES.find((each) => each.name === image);
      expect(program.startsWith(`${built?.package}/`), `${name}: ${program} in ${image}`).to.equal(true);
    }
  });

  it('knows from who calls whom who is called by whom', () => {
    const callers = (service: Service) => callersOf(mercato, service).map(({ name }) => name);
    expect(callers(inventory)).to.deep.equal(['mercato-operator', 'mercato-worker', 'shipping']);
    expect(callers(payment)).to.deep.equal(['mercato-operator', 'mercato-worker']);
    expect(callers(search)).to.be.empty;
  });

  it('knows from whose events are believed where events go', () => {
    expect(subscribersOf(mercato, shipping)).to.deep.equal([inventory]);
    expect(subscribersOf(mercato, payment)).to.be.empty;
  });

  it('scales what several pods can work for, and nothing else', () => {
    const scaled = withSearch.services.filter(scales).map(({ name }) => name);
    expect(scaled).to.deep.equal(['mercato-worker', 'search']);
    expect(scales({ ...search, scale: { from: 2, to: 2 } })).to.equal(false);
    expect(scales({ ...search, state: { kind: 'embedded', size: '1Gi' } })).to.equal(false);
  });
});
