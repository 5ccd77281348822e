import { Type } from '@sinclair/typebox';

/** As OrderSagaRun's schema has it. */
export const SkuSchema = Type.String({ minLength: 1, maxLength: 32, pattern: '^[A-Za-z0-9][A-Za-z0-9 ._-]*$' });
export const QuantitySchema = Type.Integer({ minimum: 1, maximum: 1_000_000_000 });
export const WarehouseSchema = Type.String({ maxLength: 40, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' });

export const LineSchema = Type.Object({ sku: SkuSchema, quantity: QuantitySchema });

/** Where the goods go; what the carrier needs besides is not looked at. */
export const ShipToSchema = Type.Object({
  country: Type.String({ pattern: '^[A-Z]{2}$' }),
  lat: Type.Optional(Type.Number({ minimum: -90, maximum: 90 })),
  lon: Type.Optional(Type.Number({ minimum: -180, maximum: 180 })),
});

export const ReserveInput = Type.Object({
  lines: Type.Array(LineSchema, { minItems: 1, maxItems: 100 }),
  shipTo: Type.Optional(ShipToSchema),
});

export const CommitInput = Type.Object({ reservationId: Type.String({ minLength: 1, maxLength: 64 }) });
