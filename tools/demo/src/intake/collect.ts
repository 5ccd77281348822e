import { asOrderId, asSku, type OrderId } from '@mercato/operator/api/names.ts';
import type { OrderLine } from '@mercato/operator/api/ordersagarun.ts';
import { countryCode } from './countries.ts';
import type { Fields, RecordFault, SourceRecord } from './records.ts';
import { parseCount, parseMoment, parsePrice, quoted } from './values.ts';

/** Why a line ends in the report and not in a run. */
export type RefusalReason =
  | RecordFault
  | 'AmountTooLarge'
  | 'Cancellation'
  | 'CountryUnknown'
  | 'CustomerInvalid'
  | 'DateInvalid'
  | 'InvoiceInvalid'
  | 'NegativePrice'
  | 'NotGoods'
  | 'NothingToPay'
  | 'OtherCustomer'
  | 'PriceInvalid'
  | 'PriceNotInCents'
  | 'QuantityInvalid'
  | 'QuantityNotPositive'
  | 'QuantityTooLarge'
  | 'SkuInvalid'
  | 'TooManyParts';

/** A line that is in no order: where it is and why not, in a sentence for people. */
export interface Refused {
  readonly line: number;
  readonly reason: RefusalReason;
  readonly detail: string;
}

/** An order's line, and the lines of the file that it stands for. */
export interface SourcedLine extends OrderLine {
  readonly refs: readonly number[];
}

/** An order as the file has it: what the shop's saga needs to know, but for token and street, which no such file has. */
export interface SourcedOrder {
  readonly orderId: OrderId;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly customer: string;
  readonly currency: 'GBP';
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
  readonly lines: readonly SourcedLine[];
}

/** What a file came to. */
export interface Intake {
  /** In the order of their first lines. */
  readonly orders: readonly SourcedOrder[];
  /** In the order of lines. */
  readonly refused: readonly Refused[];
}

/** A run holds at most so many lines (docs/reference/ordersagarun.md); longer invoices become several orders. */
export const MAX_ORDER_LINES = 100;
const MAX_QUANTITY = 1_000_000;
const MAX_UNIT_PRICE = 1_000_000_000_000;
const MAX_PARTS = 999;
/** So that `-p999` still fits into an order id of 40. */
const MAX_INVOICE_LENGTH = 35;

/** Stock codes of charges, discounts and corrections: postage, dotcom postage, carriage, manual, discount, sample, bad debt, fees, gifts to charity. */
const NOT_GOODS = new Set([
  'POST',
  'DOT',
  'C2',
  'C3',
  'M',
  'D',
  'S',
  'B',
  'BANK CHARGES',
  'AMAZONFEE',
  'CRUK',
  'TEST001',
  'TEST002',
]);

/** A line whose fields are understood. */
interface Item {
  readonly sku: string;
  readonly quantity: number;
  readonly unitPrice: number;
  readonly refs: number[];
}

interface Invoice {
  readonly orderId: string;
  readonly at: number;
  readonly customer: string;
  readonly country: string;
  readonly items: Map<string, { -readonly [K in keyof Item]: Item[K] }>;
  total: number;
}

/** A line understood, or why it is none. */
type Understood =
  | {
      readonly ok: true;
      readonly invoice: string;
      readonly at: number;
      readonly customer: string;
      readonly country: string;
      readonly item: Omit<Item, 'refs'>;
    }
  | { readonly ok: false; readonly reason: RefusalReason; readonly detail: string };

/** Gathers records into orders by invoice, wherever in the file its lines are, and keeps account of every line. */
export class OrderCollector {
  readonly #invoices = new Map<string, Invoice>();
  readonly #refused: Refused[] = [];

  add(record: SourceRecord): void {
    if ('fault' in record) return this.#refuse(record.lines, record.fault, record.detail || FAULTS[record.fault]);
    const line = understand(record.fields);
    if (!line.ok) return this.#refuse(record.lines, line.reason, line.detail);
    const invoice = this.#invoiceOf(line);
    const conflict = conflictWith(invoice, line);
    if (conflict !== undefined) return this.#refuse(record.lines, ...conflict);
    enter(invoice, line.item, record.lines);
  }

  end(): Intake {
    const orders = [...this.#invoices.values()].flatMap((invoice) => this.#ordersOf(invoice));
    return { orders, refused: this.#refused.toSorted((a, b) => a.line - b.line) };
  }

  #invoiceOf(line: Understood & { ok: true }): Invoice {
    const { invoice: orderId, at, customer, country } = line;
    const known = this.#invoices.get(orderId);
    if (known !== undefined) return known;
    const invoice = { orderId, at, customer, country, items: new Map(), total: 0 };
    this.#invoices.set(orderId, invoice);
    return invoice;
  }

  /** One order, or the parts of one that is too long for a run. A part that costs nothing has nothing to authorise, so it is none. */
  #ordersOf(invoice: Invoice): SourcedOrder[] {
    const { at, customer, country } = invoice;
    const items = [...invoice.items.values()];
    const parts = Math.ceil(items.length / MAX_ORDER_LINES);
    const orders: SourcedOrder[] = [];
    for (let part = 1; part <= parts; part++) {
      const lines = items.slice((part - 1) * MAX_ORDER_LINES, part * MAX_ORDER_LINES);
      const refs = () => lines.flatMap((line) => line.refs);
      if (part > MAX_PARTS) {
        this.#refuse(
          refs(),
          'TooManyParts',
          `the invoice has more than ${MAX_PARTS * MAX_ORDER_LINES} different lines`,
        );
      } else if (lines.every((line) => line.unitPrice === 0)) {
        this.#refuse(
          refs(),
          'NothingToPay',
          'nothing in this invoice has a price: book gifts and corrections as StockAdjustments',
        );
      } else {
        const orderId = asOrderId(parts === 1 ? invoice.orderId : `${invoice.orderId}-p${part}`);
        orders.push({ orderId, at, customer, currency: 'GBP', country, lines });
      }
    }
    return orders;
  }

  #refuse(lines: readonly number[], reason: RefusalReason, detail: string): void {
    for (const line of lines) this.#refused.push({ line, reason, detail });
  }
}

const FAULTS: Readonly<Record<RecordFault, string>> = {
  BlankLine: 'there is nothing in it',
  BrokenQuotes: 'its quotes are broken',
  LineTooLong: 'it is longer than 16 KiB',
  NotUtf8: 'it is not UTF-8: convert the file (iconv -f latin1 -t utf-8)',
  WrongColumns: 'it has another number of columns',
};

/** Lines of one SKU at one price are one line. Another price is another line. */
function enter(invoice: Invoice, item: Omit<Item, 'refs'>, lines: readonly number[]): void {
  invoice.total += item.quantity * item.unitPrice;
  const key = `${item.sku}\n${item.unitPrice}`;
  const known = invoice.items.get(key);
  if (known === undefined) {
    invoice.items.set(key, { ...item, refs: [...lines] });
  } else {
    known.quantity += item.quantity;
    known.refs.push(...lines);
  }
}

/** Why a line that is good in itself cannot be in this invoice. */
function conflictWith(invoice: Invoice, line: Understood & { ok: true }): [RefusalReason, string] | undefined {
  const { item } = line;
  if (line.customer !== invoice.customer || line.country !== invoice.country) {
    const whose = `${invoice.customer} in ${invoice.country}`;
    return ['OtherCustomer', `the invoice is of ${whose}, this line of ${line.customer} in ${line.country}`];
  }
  const known = invoice.items.get(`${item.sku}\n${item.unitPrice}`);
  if ((known?.quantity ?? 0) + item.quantity > MAX_QUANTITY)
    return ['QuantityTooLarge', `with it the invoice has more than ${MAX_QUANTITY} of ${item.sku}`];
  if (invoice.total + item.quantity * item.unitPrice > Number.MAX_SAFE_INTEGER)
    return ['AmountTooLarge', 'with it the invoice exceeds 2^53-1 pence'];
  return undefined;
}

function understand(fields: Fields): Understood {
  const no = (reason: RefusalReason, detail: string): Understood => ({ ok: false, reason, detail });
  const invoice = fields.InvoiceNo.toLowerCase();
  if (/^c\d/.test(invoice))
    return no('Cancellation', `invoice ${quoted(fields.InvoiceNo)} takes an earlier one back: no order`);
  if (!isInvoice(invoice))
    return no(
      'InvoiceInvalid',
      `${quoted(fields.InvoiceNo)} makes no order id: use at most ${MAX_INVOICE_LENGTH} letters, digits and hyphens, and no ending as -p1`,
    );
  const sku = skuOf(fields.StockCode);
  if (sku === undefined) return no('SkuInvalid', `${quoted(fields.StockCode)} is no SKU`);
  if (isNoGoods(sku))
    return no('NotGoods', `${sku} is a charge, a discount or a correction: nothing to reserve or ship`);
  const quantity = parseCount(fields.Quantity);
  if (!quantity.ok) return no('QuantityInvalid', quantity.detail);
  if (quantity.value <= 0)
    return no('QuantityNotPositive', `its quantity is ${quantity.value}: a return or correction`);
  if (quantity.value > MAX_QUANTITY) return no('QuantityTooLarge', `its quantity exceeds ${MAX_QUANTITY}`);
  const price = parsePrice(fields.UnitPrice);
  if (!price.ok) return no('PriceInvalid', price.detail);
  if (price.value === 'NotInCents')
    return no('PriceNotInCents', `${quoted(fields.UnitPrice)} is no whole number of pence`);
  if (price.value === 'Negative') return no('NegativePrice', `${quoted(fields.UnitPrice)} is below zero`);
  const unitPrice: number = price.value.minor;
  if (unitPrice > MAX_UNIT_PRICE) return no('AmountTooLarge', `its price exceeds ${MAX_UNIT_PRICE} pence`);
  const at = parseMoment(fields.InvoiceDate);
  if (!at.ok) return no('DateInvalid', at.detail);
  const customer = customerOf(fields.CustomerID, invoice);
  if (customer === undefined) return no('CustomerInvalid', `${quoted(fields.CustomerID)} is no id of a customer`);
  const country = countryCode(fields.Country);
  if (country === undefined) return no('CountryUnknown', `${quoted(fields.Country)} is no country (ISO 3166-1)`);
  return { ok: true, invoice, at: at.value, customer, country, item: { sku, quantity: quantity.value, unitPrice } };
}

/** An invoice that ends as the parts of a split one do could meet one of those. */
function isInvoice(text: string): boolean {
  return text.length <= MAX_INVOICE_LENGTH && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(text) && !/-p\d+$/.test(text);
}

/** Codes typed in small letters are the same goods: `85123a` is `85123A`. */
function skuOf(text: string): string | undefined {
  try {
    return asSku(text.toUpperCase());
  } catch {
    return undefined;
  }
}

function isNoGoods(sku: string): boolean {
  return NOT_GOODS.has(sku) || sku.startsWith('GIFT_');
}

/** `17850.0` is 17850. Who is not known ordered as a guest, known by the invoice alone. */
function customerOf(text: string, invoice: string): string | undefined {
  if (text === '') return `guest-${invoice}`;
  const id = text.replace(/^(\d+)\.0+$/, '$1');
  return id.length <= 64 && /^[A-Za-z0-9][A-Za-z0-9._:@-]*$/.test(id) ? id : undefined;
}
