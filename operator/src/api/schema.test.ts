import { Type } from '@sinclair/typebox';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { kinds } from './index.ts';
import { celString, duration, freeForm, integer, keyed, label, list, object, optional, structural } from './schema.ts';

type Node = Record<string, unknown>;

/** Every node of a structural schema, with its path. */
function* nodes(node: Node, path = ''): Generator<readonly [string, Node]> {
  yield [path, node];
  for (const [name, child] of Object.entries((node['properties'] as Record<string, Node> | undefined) ?? {}))
    yield* nodes(child, `${path}.${name}`);
  if (node['items'] !== undefined) yield* nodes(node['items'] as Node, `${path}[]`);
}

const schema = object(
  {
    name: label({ description: 'A name.' }),
    retry: object(
      {
        most: integer({ description: 'Most.', default: 5, minimum: 1, maximum: 9 }),
        wait: duration({ description: 'Wait.', default: '1s' }),
      },
      { description: 'Retry.', default: {} },
    ),
    maybe: optional(integer({ description: 'Maybe.', minimum: 0, maximum: 1 })),
  },
  { description: 'A thing.' },
);

describe('structural schemas', () => {
  it('demand neither what is optional nor what has a default', () => {
    expect(structural(schema)).to.have.property('required').that.deep.equals(['name']);
  });

  it('complete the default of an object from its fields', () => {
    const { properties } = structural(schema) as { properties: Record<string, Node> };
    expect(properties['retry']?.['default']).to.deep.equal({ most: 5, wait: '1s' });
  });

  it('turn a pattern into a rule with a message', () => {
    const name = structural(label({ description: 'A name.' }));
    expect(name).not.to.have.any.keys('pattern', 'x-mercato-message');
    expect(name['x-kubernetes-validations']).to.deep.equal([
      {
        rule: "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        message: 'use a lower-case DNS label: letters a-z, digits and hyphens, with a letter or digit at both ends',
      },
    ]);
  });

  it('say how lists merge and that free-form objects keep everything', () => {
    const item = object({ name: label({ description: 'A name.' }) }, { description: 'An item.' });
    expect(structural(list(item, { description: 'Items.', maxItems: 2 }))).to.include({
      'x-kubernetes-list-type': 'atomic',
      maxItems: 2,
    });
    expect(structural(keyed('name', item, { description: 'Items.', maxItems: 2 }))).to.deep.include({
      'x-kubernetes-list-map-keys': ['name'],
    });
    expect(structural(freeForm({ description: 'Any.', maxProperties: 2 }))).to.include({
      'x-kubernetes-preserve-unknown-fields': true,
    });
  });

  it('carry nothing that only TypeBox knows', () => {
    expect(structural(Type.Object({ a: Type.String() }))).to.deep.equal({
      type: 'object',
      required: ['a'],
      properties: { a: { type: 'string' } },
    });
  });

  it('quote CEL strings', () => {
    expect(celString("it's a \\d")).to.equal("'it\\'s a \\\\d'");
  });

  for (const kind of kinds) {
    it(`of ${kind.kind} describe and bound every field, and have no floats`, () => {
      for (const [part, root] of [
        ['spec', kind.spec],
        ['status', kind.status],
      ] as const) {
        for (const [path, node] of nodes(structural(root), part)) {
          expect(node['description'], `${path} has no description`).to.match(/.[.]$/s);
          if (node['type'] === 'array') expect(node, path).to.include.keys('maxItems', 'x-kubernetes-list-type');
          if (node['type'] === 'string' && node['enum'] === undefined) expect(node, path).to.include.keys('maxLength');
          if (node['type'] === 'integer') expect(node, path).to.include.keys('minimum', 'maximum');
          if (node['properties'] === undefined && node['type'] === 'object')
            expect(node, path).to.include.keys('maxProperties');
          expect(node['type'], path).to.be.oneOf(['object', 'array', 'string', 'integer', 'boolean']);
        }
      }
    });
  }

  it('serve as JSON Schema too, for input that comes by another way', () => {
    const ajv = new Ajv({ useDefaults: true, strict: false, formats: { 'date-time': true, int64: true } });
    const check = ajv.compile(JSON.parse(JSON.stringify(schema)));
    const value = { name: 'a' };
    expect(check(value)).to.equal(true);
    expect(value).to.deep.equal({ name: 'a', retry: { most: 5, wait: '1s' } });
    expect(check({ name: 'Not a label' })).to.equal(false);
    expect(check({ name: 'a', retry: { wait: 'soon' } })).to.equal(false);
  });
});
