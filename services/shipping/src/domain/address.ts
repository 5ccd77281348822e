import { type Static, Type } from '@sinclair/typebox';

/** Where goods go: OrderSagaRun's `input.shipTo`. Unknown fields are refused, as they would be lost at the carrier. */
export const Address = Type.Object(
  {
    name: Type.Optional(Type.String({ maxLength: 64 })),
    line1: Type.Optional(Type.String({ maxLength: 64 })),
    line2: Type.Optional(Type.String({ maxLength: 64 })),
    city: Type.Optional(Type.String({ maxLength: 64 })),
    region: Type.Optional(Type.String({ maxLength: 32 })),
    postcode: Type.Optional(Type.String({ maxLength: 16 })),
    /** ISO 3166-1 alpha-2. */
    country: Type.String({ pattern: '^[A-Z]{2}$' }),
  },
  { additionalProperties: false },
);

/** @see Address */
export type Address = Static<typeof Address>;

/** What is shipped: an order's line. The price is for customs. */
export const Line = Type.Object({
  sku: Type.String({ minLength: 1, maxLength: 64 }),
  quantity: Type.Integer({ minimum: 1 }),
  unitPrice: Type.Optional(Type.Integer({ minimum: 0 })),
});

/** @see Line */
export type Line = Static<typeof Line>;
