import type { Static } from '@sinclair/typebox';
import { conditions } from './conditions.ts';
import { defineKind, type Resource } from './kind.ts';
import {
  choice,
  duration,
  integer,
  label,
  list,
  MAX_INTEGER,
  moment,
  object,
  observedGeneration,
  optional,
  SKU,
  text,
} from './schema.ts';

const sku = () => text({ description: 'The SKU.', minLength: 1, maxLength: 32, form: SKU });

const line = object(
  { sku: sku(), quantity: integer({ description: 'How many units.', minimum: 1, maximum: 1_000_000_000 }) },
  { description: 'Goods of one SKU.' },
);

const approval = object(
  {
    decision: choice(['Approve', 'Reject'], { description: 'Whether to order.' }),
    by: text({
      description: 'Who decides: your user name, as kubectl auth whoami shows it.',
      minLength: 1,
      maxLength: 128,
    }),
    reason: optional(text({ description: 'Why.', maxLength: 256 })),
  },
  {
    description: 'The decision on a proposal. It is final.',
    rules: [
      {
        rule: "self.decision == 'Approve' || has(self.reason)",
        message: 'say why it is rejected: set reason',
        fieldPath: '.reason',
      },
    ],
  },
);

const FIXED = ['warehouse', 'supplier', 'lines', 'leadTime'] as const;

const spec = object(
  {
    warehouse: label({
      description: 'The WarehouseInventory, in this namespace, that the goods are for.',
      maxLength: 40,
    }),
    supplier: label({ description: 'Who delivers.' }),
    lines: list(line, {
      description: 'What to bring in.',
      minItems: 1,
      maxItems: 100,
      rules: [
        {
          rule: 'self.all(a, self.exists_one(b, b.sku == a.sku))',
          message: 'two lines have the same SKU: add their quantities up in one line',
        },
      ],
    }),
    leadTime: duration({ description: 'How long the delivery takes.', default: '3d' }),
    approval: optional(approval),
    cancel: optional(
      object(
        { reason: text({ description: 'Why.', minLength: 1, maxLength: 256 }) },
        {
          description:
            'Set to cancel the order before the goods have left the supplier; later they are received. It is final.',
        },
      ),
    ),
  },
  {
    description: 'Goods to bring in: immutable but for approval and cancel, each of which is set once.',
    rules: [
      ...FIXED.map((field) => ({
        rule: `self.${field} == oldSelf.${field}`,
        message: `${field} cannot change once the order is proposed: cancel it and create another RestockOrder`,
        fieldPath: `.${field}`,
      })),
      {
        rule: '!has(oldSelf.approval) || (has(self.approval) && self.approval == oldSelf.approval)',
        message: 'the approval cannot be withdrawn or changed: the goods may be on their way; set cancel instead',
      },
      {
        rule: '!has(oldSelf.cancel) || (has(self.cancel) && self.cancel == oldSelf.cancel)',
        message: 'a cancelled order stays cancelled: create another RestockOrder',
      },
    ],
  },
);

const receipt = object(
  {
    receiptId: text({ description: 'What inventory knows the receipt by, so that it is booked once.', maxLength: 128 }),
    at: moment({ description: 'When it was booked.' }),
    lines: list(line, { description: 'What came.', maxItems: 100 }),
  },
  { description: 'One delivery, of all or a part.' },
);

const status = object(
  {
    observedGeneration: optional(observedGeneration()),
    phase: optional(
      choice(['Proposed', 'Approved', 'Ordered', 'InTransit', 'Received', 'Rejected', 'Cancelled'], {
        description: 'Where the order is.',
      }),
    ),
    conditions: optional(conditions()),
    approvedBy: optional(text({ description: 'Who approved it: a person, or policy:<warehouse>.', maxLength: 128 })),
    orderedAt: optional(moment({ description: 'When the supplier was asked.' })),
    expectedAt: optional(moment({ description: 'When the goods are expected.' })),
    finishedAt: optional(moment({ description: 'When it was received, rejected or cancelled.' })),
    supplierReference: optional(text({ description: 'What the supplier calls the order.', maxLength: 128 })),
    received: optional(
      list(
        object(
          { sku: sku(), quantity: integer({ description: 'How many came so far.', minimum: 0, maximum: MAX_INTEGER }) },
          { description: 'What came of one line.' },
        ),
        { description: 'What came so far, one entry for each line.', maxItems: 100 },
      ),
    ),
    receivedUnits: optional(integer({ description: 'Units that came so far.', minimum: 0, maximum: MAX_INTEGER })),
    totalUnits: optional(integer({ description: 'Units that were ordered.', minimum: 0, maximum: MAX_INTEGER })),
    receipts: optional(list(receipt, { description: 'The last deliveries, the newest last.', maxItems: 10 })),
    receiptCount: optional(
      integer({
        description: 'How many deliveries there were, also those that receipts no longer names.',
        minimum: 0,
        maximum: MAX_INTEGER,
      }),
    ),
    nextAction: optional(text({ description: 'What comes next, when and why, in words.', maxLength: 256 })),
  },
  { description: 'Where the goods are.' },
);

/** RestockOrder: goods that a warehouse asked for. */
export const restockOrder = defineKind({
  kind: 'RestockOrder',
  plural: 'restockorders',
  singular: 'restockorder',
  shortNames: ['rso'],
  scope: 'Namespaced',
  description:
    'RestockOrder is goods to bring into a warehouse: proposed, approved, ordered, in transit, received in one or more parts.',
  spec,
  status,
  rules: [],
  columns: [
    { name: 'Warehouse', type: 'string', jsonPath: '.spec.warehouse', description: 'Where the goods go.' },
    { name: 'Supplier', type: 'string', jsonPath: '.spec.supplier', description: 'Who delivers.' },
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'Where the order is.' },
    { name: 'Received', type: 'integer', jsonPath: '.status.receivedUnits', description: 'Units that came.' },
    { name: 'Ordered', type: 'integer', jsonPath: '.status.totalUnits', description: 'Units that were asked for.' },
    { name: 'Expected', type: 'string', jsonPath: '.status.expectedAt', description: 'When the goods are expected.' },
    { name: 'Next', type: 'string', jsonPath: '.status.nextAction', description: 'What comes next.', priority: 1 },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since it was created.' },
  ],
  selectableFields: ['.spec.warehouse', '.status.phase'],
});

export type RestockOrder = Resource<typeof restockOrder>;
export type RestockOrderSpec = Static<typeof spec>;
export type RestockOrderStatus = Static<typeof status>;
export type RestockLine = Static<typeof line>;
export type RestockReceipt = Static<typeof receipt>;
export type RestockPhase = NonNullable<RestockOrderStatus['phase']>;
