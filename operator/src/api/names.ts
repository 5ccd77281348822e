declare const orderId: unique symbol;
declare const sagaName: unique symbol;
declare const stepName: unique symbol;
declare const namespaceName: unique symbol;
declare const sku: unique symbol;
declare const warehouseId: unique symbol;

/** The shop's id of an order: a lower-case DNS label of at most 40 characters. */
export type OrderId = string & { readonly [orderId]: true };
/** The name of an OrderSaga: a lower-case DNS label of at most 40 characters. */
export type SagaName = string & { readonly [sagaName]: true };
/** The name of a step: a lower-case DNS label of at most 40 characters. */
export type StepName = string & { readonly [stepName]: true };
/** The name of a namespace: a lower-case DNS label of at most 63 characters. */
export type Namespace = string & { readonly [namespaceName]: true };
/** A stock keeping unit: at most 32 letters, digits, spaces, dots, underscores and hyphens. */
export type Sku = string & { readonly [sku]: true };
/** The id of a warehouse, which is the name of its WarehouseInventory: a lower-case DNS label of at most 40 characters. */
export type WarehouseId = string & { readonly [warehouseId]: true };

/** A text that is no name of its kind. */
export class InvalidName extends Error {
  constructor(what: string, text: string, rule: string) {
    super(`${JSON.stringify(text)} is no ${what}: ${rule}`);
    this.name = 'InvalidName';
  }
}

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

function label(what: string, text: string, maxLength: number): string {
  if (text.length > maxLength || !LABEL.test(text)) {
    throw new InvalidName(what, text, `use a lower-case DNS label of at most ${maxLength} characters`);
  }
  return text;
}

/** Throws {@link InvalidName} for what is no order id. */
export const asOrderId = (text: string): OrderId => label('order id', text, 40) as OrderId;
/** Throws {@link InvalidName} for what is no saga's name. */
export const asSagaName = (text: string): SagaName => label('name of a saga', text, 40) as SagaName;
/** Throws {@link InvalidName} for what is no step's name. */
export const asStepName = (text: string): StepName => label('name of a step', text, 40) as StepName;
/** Throws {@link InvalidName} for what is no namespace's name. */
export const asNamespace = (text: string): Namespace => label('name of a namespace', text, 63) as Namespace;
/** Throws {@link InvalidName} for what is no warehouse's id. */
export const asWarehouseId = (text: string): WarehouseId => label('id of a warehouse', text, 40) as WarehouseId;

/** Throws {@link InvalidName} for what is no SKU. */
export function asSku(text: string): Sku {
  if (text.length > 32 || !/^[A-Za-z0-9][A-Za-z0-9 ._-]*$/.test(text)) {
    throw new InvalidName(
      'SKU',
      text,
      'use at most 32 letters, digits, spaces, dots, underscores and hyphens, a letter or digit first',
    );
  }
  return text as Sku;
}

/** What a run is, wherever its object came from: never a uid, so that a restored or re-created object is the same run. */
export interface RunKey {
  readonly namespace: Namespace;
  readonly saga: SagaName;
  readonly orderId: OrderId;
}

/** `{namespace}/{saga}/{orderId}`: the beginning of every idempotency key of the run. */
export function formatRunKey(key: RunKey): string {
  return `${key.namespace}/${key.saga}/${key.orderId}`;
}

/** Reads what {@link formatRunKey} wrote. Throws {@link InvalidName} for anything else. */
export function parseRunKey(text: string): RunKey {
  const [namespace, saga, order, ...more] = text.split('/');
  if (namespace === undefined || saga === undefined || order === undefined || more.length > 0) {
    throw new InvalidName('key of a run', text, 'it is {namespace}/{saga}/{orderId}');
  }
  return { namespace: asNamespace(namespace), saga: asSagaName(saga), orderId: asOrderId(order) };
}

/** The name that the run's object must have. It does not tell saga and order apart (both may have hyphens): spec does. */
export function runObjectName(saga: SagaName, order: OrderId): string {
  return `${saga}-${order}`;
}
