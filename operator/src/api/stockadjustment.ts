import type { Static } from '@sinclair/typebox';
import { conditions } from './conditions.ts';
import { defineKind, type Resource } from './kind.ts';
import {
  choice,
  integer,
  label,
  MAX_INTEGER,
  moment,
  object,
  observedGeneration,
  optional,
  SKU,
  text,
} from './schema.ts';

const spec = object(
  {
    adjustmentId: text({
      description:
        'Names the adjustment for ever: inventory applies it once, however often the object is created again.',
      minLength: 1,
      maxLength: 64,
      form: {
        pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$',
        message: 'an adjustmentId has letters, digits and . _ - and starts with a letter or digit',
      },
    }),
    warehouse: label({ description: 'The WarehouseInventory, in this namespace.', maxLength: 40 }),
    sku: text({ description: 'The SKU.', minLength: 1, maxLength: 32, form: SKU }),
    type: choice(['Counted', 'Received', 'Damaged', 'Lost', 'Returned'], {
      description: 'Counted sets on hand to quantity; Received and Returned add it; Damaged and Lost take it away.',
    }),
    quantity: integer({
      description: 'Units, never negative: type says which way.',
      minimum: 0,
      maximum: 1_000_000_000,
    }),
    reason: text({
      description: 'Why. Kept on record.',
      minLength: 1,
      maxLength: 256,
      form: { pattern: '[^ ]', message: 'give the reason of the adjustment: it is kept on record' },
    }),
    countedAt: optional(moment({ description: 'When somebody looked, if not when the object was created.' })),
  },
  {
    description: 'What was found. It never changes.',
    rules: [
      {
        rule: 'self == oldSelf',
        message:
          'a StockAdjustment cannot change, because its movement is booked: create another one with a new adjustmentId',
      },
      {
        rule: "self.type == 'Counted' || self.quantity >= 1",
        message: 'only a count can be 0: give the quantity that came or went',
        fieldPath: '.quantity',
      },
    ],
  },
);

const quantity = (description: string) => integer({ description, minimum: -MAX_INTEGER, maximum: MAX_INTEGER });

const status = object(
  {
    observedGeneration: optional(observedGeneration()),
    phase: optional(choice(['Pending', 'Applied', 'Refused'], { description: 'A summary of the conditions.' })),
    conditions: optional(conditions()),
    movement: optional(text({ description: 'The id of the movement in the log of inventory.', maxLength: 128 })),
    before: optional(quantity('On hand before.')),
    after: optional(quantity('On hand after.')),
    appliedAt: optional(moment({ description: 'When inventory booked it.' })),
    nextAction: optional(text({ description: 'What comes next, when and why, in words.', maxLength: 256 })),
  },
  { description: 'What came of it.' },
);

/** StockAdjustment: a counted, received, damaged, lost or returned quantity, booked once. */
export const stockAdjustment = defineKind({
  kind: 'StockAdjustment',
  plural: 'stockadjustments',
  singular: 'stockadjustment',
  shortNames: ['sta'],
  scope: 'Namespaced',
  description: 'StockAdjustment corrects the stock of one SKU in one warehouse, once and only once.',
  spec,
  status,
  rules: [],
  columns: [
    { name: 'Warehouse', type: 'string', jsonPath: '.spec.warehouse', description: 'Where.' },
    { name: 'SKU', type: 'string', jsonPath: '.spec.sku', description: 'What.' },
    { name: 'Type', type: 'string', jsonPath: '.spec.type', description: 'How it came.' },
    { name: 'Quantity', type: 'integer', jsonPath: '.spec.quantity', description: 'How many.' },
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'A summary of the conditions.' },
    { name: 'Before', type: 'integer', jsonPath: '.status.before', description: 'On hand before.', priority: 1 },
    { name: 'After', type: 'integer', jsonPath: '.status.after', description: 'On hand after.', priority: 1 },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since it was created.' },
  ],
  selectableFields: ['.spec.warehouse'],
});

export type StockAdjustment = Resource<typeof stockAdjustment>;
export type StockAdjustmentSpec = Static<typeof spec>;
export type StockAdjustmentStatus = Static<typeof status>;
