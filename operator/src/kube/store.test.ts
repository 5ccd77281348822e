import { expect } from 'chai';
import fc from 'fast-check';
import { keyOf, keyOfObject, parseKey } from './key.ts';
import { Store } from './store.ts';
import type { ConfigMap } from './types.ts';

function configMap(name: string, version: number, colour: string, namespace = 'ns'): ConfigMap {
  return { metadata: { name, namespace, uid: `uid-${name}`, resourceVersion: String(version) }, data: { colour } };
}

const byColour = (object: ConfigMap) => (object.data?.['colour'] ? [object.data['colour']] : []);
const names = (objects: ConfigMap[]) => objects.map((object) => object.metadata.name).sort();

describe('keys', () => {
  it('name a place and give it back', () => {
    expect(parseKey(keyOf('ns', 'a'))).to.deep.equal({ namespace: 'ns', name: 'a' });
    expect(parseKey(keyOf('', 'a'))).to.deep.equal({ namespace: '', name: 'a' });
    expect(keyOfObject({ metadata: { name: 'a' } })).to.equal('a');
  });
});

describe('Store', () => {
  it('says what changed', () => {
    const store = new Store<ConfigMap>();
    expect(store.upsert(configMap('a', 1, 'red'))?.type).to.equal('added');
    expect(store.upsert(configMap('a', 2, 'blue'))?.type).to.equal('updated');
    expect(store.remove(configMap('a', 3, 'blue'))?.type).to.equal('deleted');
    expect(store.size).to.equal(0);
  });

  it('never goes back: an event that a resumed watch repeats changes nothing', () => {
    const store = new Store<ConfigMap>();
    store.upsert(configMap('a', 10, 'red'));
    expect(store.upsert(configMap('a', 9, 'blue'))).to.equal(undefined);
    expect(store.upsert(configMap('a', 10, 'red'))).to.equal(undefined);
    expect(store.remove(configMap('a', 9, 'blue'))).to.equal(undefined);
    expect(store.get('ns', 'a')?.data).to.deep.equal({ colour: 'red' });
  });

  it('replaces one namespace and leaves the others, and reports deletions that no event told', () => {
    const store = new Store<ConfigMap>();
    for (const object of [configMap('a', 1, 'red'), configMap('b', 2, 'red'), configMap('x', 3, 'red', 'other')])
      store.upsert(object);
    const changes = store.replace([configMap('b', 2, 'red'), configMap('c', 5, 'red')], 'ns');
    expect(changes.map((change) => `${change.type} ${change.key}`)).to.deep.equal(['added ns/c', 'deleted ns/a']);
    expect(names(store.list())).to.deep.equal(['b', 'c', 'x']);
  });

  it('accepts older versions from a list, which is what a restored backup looks like', () => {
    const store = new Store<ConfigMap>();
    store.upsert(configMap('a', 10, 'red'));
    expect(store.replace([configMap('a', 4, 'blue')]).map((change) => change.type)).to.deep.equal(['updated']);
    expect(store.get('ns', 'a')?.data).to.deep.equal({ colour: 'blue' });
  });

  it('names the indexes that there are when asked for another', () => {
    const store = new Store<ConfigMap>({ colour: byColour });
    expect(() => store.byIndex('size', 'x')).to.throw('no index "size"; there are: colour');
    expect(() => store.addIndex('colour', byColour)).to.throw('an index "colour" already');
  });

  it('stays whole when an index function throws', () => {
    const store = new Store<ConfigMap>({
      colour: byColour,
      picky: (object) => {
        if (object.data?.['colour'] === 'bad') throw new Error('picky');
        return [];
      },
    });
    store.upsert(configMap('a', 1, 'red'));
    expect(() => store.upsert(configMap('a', 2, 'bad'))).to.throw('picky');
    expect(names(store.byIndex('colour', 'red'))).to.deep.equal(['a']);
    expect(store.countByIndex('colour', 'bad')).to.equal(0);
  });

  it('answers an index as a search through all objects would, after any changes', () => {
    const change = fc.record({
      act: fc.constantFrom('upsert', 'remove', 'replace'),
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      colour: fc.constantFrom('red', 'blue', ''),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const store = new Store<ConfigMap>({ colour: byColour });
        let version = 0;
        for (const { act, name, colour } of changes) {
          version += 1;
          const object = configMap(name, version, colour);
          if (act === 'upsert') store.upsert(object);
          else if (act === 'remove') store.remove(object);
          else store.replace([object]);
        }
        for (const colour of ['red', 'blue']) {
          const expected = store.list().filter((object) => object.data?.['colour'] === colour);
          expect(names(store.byIndex('colour', colour))).to.deep.equal(names(expected));
          expect(store.countByIndex('colour', colour)).to.equal(expected.length);
        }
      }),
    );
  });
});
