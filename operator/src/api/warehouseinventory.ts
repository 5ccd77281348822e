import type { Static } from '@sinclair/typebox';
import { conditions } from './conditions.ts';
import { defineKind, type Resource } from './kind.ts';
import {
  choice,
  duration,
  integer,
  keyed,
  label,
  list,
  MAX_INTEGER,
  object,
  observedGeneration,
  optional,
  SKU,
  text,
} from './schema.ts';

/** The most of one SKU that a warehouse can hold or order. */
export const MAX_STOCK = 1_000_000_000;
/** How many SKUs a status names before it only counts. */
const TOP = 20;

const units = (description: string, fallback?: number) =>
  integer({ description, minimum: 0, maximum: MAX_STOCK, ...(fallback !== undefined && { default: fallback }) });

const policy = object(
  {
    safetyStock: units('Kept back: available for sale is what exceeds it.', 0),
    reorderPoint: units('At or below this (available + incoming), goods are ordered.', 0),
    reorderUpTo: units('So many are ordered that available + incoming reaches this. 0: nothing is ever ordered.', 0),
    supplier: optional(label({ description: 'Who delivers.' })),
    leadTime: duration({ description: 'How long a delivery takes.', default: '3d' }),
    autoApproveUpTo: units(
      'A RestockOrder of at most so many units in all is approved by this policy. 0: a person approves each.',
      0,
    ),
  },
  {
    description: 'When and what to reorder, for every SKU that overrides does not name.',
    default: {},
    rules: [
      {
        rule: 'self.reorderUpTo == 0 || self.reorderUpTo > self.reorderPoint',
        message:
          'reorderUpTo must be above reorderPoint, or every delivery would cause the next order: raise it, or set it to 0 to order nothing',
      },
      {
        rule: 'self.reorderUpTo == 0 || has(self.supplier)',
        message: 'name the supplier that goods are ordered from, or set reorderUpTo to 0 to order nothing',
      },
    ],
  },
);

const override = object(
  {
    sku: text({ description: 'Which SKU.', minLength: 1, maxLength: 32, form: SKU }),
    safetyStock: optional(units('Instead of the policy’s.')),
    reorderPoint: optional(units('Instead of the policy’s.')),
    reorderUpTo: optional(units('Instead of the policy’s.')),
    supplier: optional(label({ description: 'Instead of the policy’s.' })),
    leadTime: optional(duration({ description: 'Instead of the policy’s.' })),
  },
  { description: 'What differs for one SKU.' },
);

const microdegrees = (what: string, degrees: number) =>
  integer({
    description: `${what} in millionths of a degree (no floats).`,
    minimum: -degrees * 1_000_000,
    maximum: degrees * 1_000_000,
  });

const spec = object(
  {
    displayName: optional(text({ description: 'For people.', maxLength: 64 })),
    participant: object(
      { name: label({ description: 'A Participant in this namespace.' }) },
      { description: 'The inventory service that keeps this warehouse’s stock.' },
    ),
    location: object(
      {
        country: text({
          description: 'ISO 3166-1 alpha-2.',
          minLength: 2,
          maxLength: 2,
          form: { pattern: '^[A-Z]{2}$', message: 'a country is two capital letters (ISO 3166-1 alpha-2), as GB' },
        }),
        latitudeMicro: optional(microdegrees('Latitude', 90)),
        longitudeMicro: optional(microdegrees('Longitude', 180)),
      },
      {
        description: 'Where it is: sourcing may prefer the nearest.',
        rules: [
          {
            rule: 'has(self.latitudeMicro) == has(self.longitudeMicro)',
            message: 'give both latitudeMicro and longitudeMicro, or neither',
          },
        ],
      },
    ),
    priority: integer({
      description: 'Sourcing by priority takes the lowest number first.',
      default: 100,
      minimum: 0,
      maximum: 10_000,
    }),
    policy,
    overrides: keyed('sku', override, { description: 'What differs for single SKUs.', default: [], maxItems: 500 }),
  },
  {
    description: 'One warehouse: where it is, and when it reorders.',
    rules: [
      {
        rule: 'self.overrides.all(o, (has(o.reorderUpTo) ? o.reorderUpTo : self.policy.reorderUpTo) == 0 || (has(o.reorderUpTo) ? o.reorderUpTo : self.policy.reorderUpTo) > (has(o.reorderPoint) ? o.reorderPoint : self.policy.reorderPoint))',
        message:
          'an override has a reorderUpTo that is not above its reorderPoint (with the policy’s where it says none): raise reorderUpTo, or set it to 0',
        fieldPath: '.overrides',
      },
      {
        rule: 'self.overrides.all(o, !has(o.reorderUpTo) || o.reorderUpTo == 0 || has(o.supplier) || has(self.policy.supplier))',
        message: 'an override orders goods, but neither it nor the policy names a supplier: name one',
        fieldPath: '.overrides',
      },
    ],
  },
);

const quantity = (what: string) => integer({ description: what, minimum: -MAX_INTEGER, maximum: MAX_INTEGER });
const count = (what: string) => integer({ description: what, minimum: 0, maximum: MAX_INTEGER });
const level = object(
  {
    sku: text({ description: 'The SKU.', maxLength: 32 }),
    available: quantity('What can be promised.'),
    incoming: quantity('What is ordered and not received.'),
    reorderPoint: count('The reorder point that applies.'),
  },
  { description: 'The level of one SKU.' },
);

const status = object(
  {
    observedGeneration: optional(observedGeneration()),
    phase: optional(choice(['Ready', 'StockLow', 'NotReady'], { description: 'A summary of the conditions.' })),
    conditions: optional(conditions()),
    totals: optional(
      object(
        {
          skus: count('SKUs that were ever here.'),
          onHand: quantity('Units in the building.'),
          reserved: quantity('Of these, held for orders for a while.'),
          committed: quantity('Of these, held for orders until they are shipped.'),
          available: quantity('Units that can be promised.'),
          incoming: quantity('Units ordered and not received.'),
        },
        { description: 'Sums over all SKUs, written at most every 10 s.' },
      ),
    ),
    low: optional(
      list(level, { description: 'SKUs at or below their reorder point, the shortest first.', maxItems: TOP }),
    ),
    lowCount: optional(count('How many SKUs are low, also those that low does not name.')),
    out: optional(list(level, { description: 'SKUs of which nothing is available.', maxItems: TOP })),
    outCount: optional(count('How many SKUs are out, also those that out does not name.')),
    nextAction: optional(text({ description: 'What comes next, when and why, in words.', maxLength: 256 })),
  },
  { description: 'What the inventory service says of this warehouse.' },
);

/** WarehouseInventory: one warehouse, its stock policy, and what its stock is. */
export const warehouseInventory = defineKind({
  kind: 'WarehouseInventory',
  plural: 'warehouseinventories',
  singular: 'warehouseinventory',
  shortNames: ['whi'],
  scope: 'Namespaced',
  description:
    'WarehouseInventory is one warehouse: its location and stock policy, and in its status what is on hand, promised, low and out.',
  spec,
  status,
  rules: [
    {
      rule: "self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
      message:
        'the name of a WarehouseInventory is the id of the warehouse: use a lower-case DNS label of at most 40 characters, without dots',
    },
  ],
  columns: [
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'A summary of the conditions.' },
    { name: 'On-Hand', type: 'integer', jsonPath: '.status.totals.onHand', description: 'Units in the building.' },
    {
      name: 'Reserved',
      type: 'integer',
      jsonPath: '.status.totals.reserved',
      description: 'Held for orders for a while.',
    },
    {
      name: 'Committed',
      type: 'integer',
      jsonPath: '.status.totals.committed',
      description: 'Held for orders until shipped.',
    },
    { name: 'Available', type: 'integer', jsonPath: '.status.totals.available', description: 'Can be promised.' },
    {
      name: 'Incoming',
      type: 'integer',
      jsonPath: '.status.totals.incoming',
      description: 'Ordered and not received.',
    },
    {
      name: 'Low',
      type: 'integer',
      jsonPath: '.status.lowCount',
      description: 'SKUs at or below their reorder point.',
    },
    { name: 'Out', type: 'integer', jsonPath: '.status.outCount', description: 'SKUs of which nothing is available.' },
    { name: 'Country', type: 'string', jsonPath: '.spec.location.country', description: 'Where it is.', priority: 1 },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since it was created.' },
  ],
  selectableFields: [],
});

export type WarehouseInventory = Resource<typeof warehouseInventory>;
export type WarehouseInventorySpec = Static<typeof spec>;
export type WarehouseInventoryStatus = Static<typeof status>;
export type StockPolicy = Static<typeof policy>;
export type StockPolicyOverride = Static<typeof override>;
export type StockLevel = Static<typeof level>;
