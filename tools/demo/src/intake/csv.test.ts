import { expect } from 'chai';
import fc from 'fast-check';
import type { Intake } from './collect.ts';
import { OrdersFileError, parseOrders, readOrders } from './csv.ts';
import { COLUMNS } from './records.ts';

const HEADER = COLUMNS.join(',');
const file = (...lines: string[]) => [HEADER, ...lines].join('\n');
const line = (changes: Partial<Record<(typeof COLUMNS)[number], string>> = {}) => {
  const fields = {
    InvoiceNo: '536365',
    StockCode: '85123A',
    Description: 'WHITE HANGING HEART',
    Quantity: '6',
    InvoiceDate: '2010-12-01 08:26:00',
    UnitPrice: '2.55',
    CustomerID: '17850.0',
    Country: 'United Kingdom',
    ...changes,
  };
  return COLUMNS.map((name) => fields[name]).join(',');
};
const reasons = (intake: Intake) => intake.refused.map(({ line: at, reason }) => `${at} ${reason}`);
const refs = (intake: Intake) => intake.orders.flatMap((order) => order.lines.flatMap((each) => each.refs));

describe('an orders file', () => {
  it('makes an order of an invoice, with minor units, SKU, customer and country as the API wants them', () => {
    const { orders, refused } = parseOrders(
      file(line(), line({ StockCode: '71053', UnitPrice: '0.29', Quantity: '1' })),
    );
    expect(refused).to.deep.equal([]);
    expect(orders).to.deep.equal([
      {
        orderId: '536365',
        at: Date.UTC(2010, 11, 1, 8, 26),
        customer: '17850',
        currency: 'GBP',
        country: 'GB',
        lines: [
          { sku: '85123A', quantity: 6, unitPrice: 255, refs: [2] },
          { sku: '71053', quantity: 1, unitPrice: 29, refs: [3] },
        ],
      },
    ]);
  });

  it('reads CR LF, a byte order mark, a missing last line end, and pieces of any size', async () => {
    const bytes = Buffer.from(`\uFEFF${file(line(), line({ Description: 'CAFÉ "SET"' }))}`.replaceAll('\n', '\r\n'));
    const whole = await readOrders([bytes]);
    const single = await readOrders([...bytes].map((byte) => Buffer.of(byte)));
    expect(single).to.deep.equal(whole);
    expect(refs(whole)).to.deep.equal([2]);
    expect(reasons(whole)).to.deep.equal(['3 BrokenQuotes']);
  });

  it('sums lines of one SKU at one price, however it is typed, and keeps other prices apart', () => {
    const { orders } = parseOrders(
      file(line(), line({ StockCode: '85123a', Quantity: '4' }), line({ UnitPrice: '2.50', Quantity: '1' })),
    );
    expect(orders[0]?.lines).to.deep.equal([
      { sku: '85123A', quantity: 10, unitPrice: 255, refs: [2, 3] },
      { sku: '85123A', quantity: 1, unitPrice: 250, refs: [4] },
    ]);
  });

  it('gathers an invoice whose lines are apart', () => {
    const { orders } = parseOrders(file(line(), line({ InvoiceNo: '536366' }), line({ StockCode: '71053' })));
    expect(orders.map((order) => [order.orderId, order.lines.length])).to.deep.equal([
      ['536365', 2],
      ['536366', 1],
    ]);
  });

  it('ships a free line with what is paid, and refuses an invoice of free lines only', () => {
    const intake = parseOrders(
      file(line(), line({ StockCode: 'GIFT', UnitPrice: '0.0' }), line({ InvoiceNo: '536414', UnitPrice: '0.0' })),
    );
    expect(refs(intake)).to.deep.equal([2, 3]);
    expect(reasons(intake)).to.deep.equal(['4 NothingToPay']);
  });

  it('takes a guest where no customer is named, and a line without a description', () => {
    const { orders, refused } = parseOrders(file(line({ CustomerID: '', Description: '' })));
    expect(refused).to.deep.equal([]);
    expect(orders[0]?.customer).to.equal('guest-536365');
  });

  const refusals: readonly [string, string, string][] = [
    ['a cancellation', line({ InvoiceNo: 'C536379', Quantity: '-1' }), 'Cancellation'],
    ['an invoice number that makes no order id', line({ InvoiceNo: '53/6' }), 'InvoiceInvalid'],
    ['an invoice number that a part of another could have', line({ InvoiceNo: '536365-p2' }), 'InvoiceInvalid'],
    ['postage', line({ StockCode: 'POST' }), 'NotGoods'],
    ['bank charges', line({ StockCode: 'Bank Charges' }), 'NotGoods'],
    ['a missing SKU', line({ StockCode: '' }), 'SkuInvalid'],
    ['a quantity of zero', line({ Quantity: '0' }), 'QuantityNotPositive'],
    ['a return', line({ Quantity: '-12' }), 'QuantityNotPositive'],
    ['half a piece', line({ Quantity: '1.5' }), 'QuantityInvalid'],
    ['a quantity in words', line({ Quantity: 'six' }), 'QuantityInvalid'],
    ['a quantity that no run may have', line({ Quantity: '1000001' }), 'QuantityTooLarge'],
    ['a fraction of a penny', line({ UnitPrice: '2.555' }), 'PriceNotInCents'],
    ['a price below zero', line({ UnitPrice: '-2.55' }), 'NegativePrice'],
    ['a price in scientific notation', line({ UnitPrice: '1e3' }), 'PriceInvalid'],
    ['a missing price', line({ UnitPrice: '' }), 'PriceInvalid'],
    ['an amount that is not exact', line({ UnitPrice: '9999999999', Quantity: '1000000' }), 'AmountTooLarge'],
    ['a date that does not exist', line({ InvoiceDate: '2010-02-30 08:26:00' }), 'DateInvalid'],
    ['a customer that is none', line({ CustomerID: 'Ada & Co' }), 'CustomerInvalid'],
    ['an unknown country', line({ Country: 'European Community' }), 'CountryUnknown'],
    ['a blank line', '   ', 'BlankLine'],
    ['too few columns', '536365,85123A', 'WrongColumns'],
    ['too many columns', `${line()},x`, 'WrongColumns'],
    ['a quote in the middle of a field', line({ Description: 'A 6" RULER' }), 'BrokenQuotes'],
    ['a line of 20 KB', line({ Description: 'x'.repeat(20_000) }), 'LineTooLong'],
  ];
  for (const [what, bad, reason] of refusals) {
    it(`refuses ${what} with its line number, and goes on`, () => {
      const intake = parseOrders(file(line({ InvoiceNo: '1' }), bad, line({ InvoiceNo: '2' })));
      expect(reasons(intake)).to.deep.equal([`3 ${reason}`]);
      expect(intake.orders.map((order) => order.orderId)).to.deep.equal(['1', '2']);
      expect(intake.refused[0]?.detail).to.match(/\S/);
    });
  }

  it('refuses a line that is not UTF-8, and goes on', async () => {
    const bytes = Buffer.concat([
      Buffer.from(`${file(line({ InvoiceNo: '1' }))}\n`),
      Buffer.from(line({ Description: 'CAFÉ' }), 'latin1'),
      Buffer.from(`\n${line({ InvoiceNo: '2' })}\n`),
    ]);
    const intake = await readOrders([bytes]);
    expect(reasons(intake)).to.deep.equal(['3 NotUtf8']);
    expect(intake.orders).to.have.length(2);
  });

  it('refuses a line of another customer in an invoice', () => {
    const intake = parseOrders(file(line(), line({ CustomerID: '13047', StockCode: '71053' })));
    expect(reasons(intake)).to.deep.equal(['3 OtherCustomer']);
  });

  it('reads a quoted field over line ends as one record, with both lines accounted for', () => {
    const intake = parseOrders(file(line({ Description: '"WHITE, HANGING\nHEART ""L"""' }), line({ InvoiceNo: '2' })));
    expect(refs(intake)).to.deep.equal([2, 3, 4]);
    expect(intake.orders).to.have.length(2);
  });

  it('lets an unclosed quote cost its own line only', () => {
    const intake = parseOrders(
      file(line({ Description: '"WHITE' }), line({ InvoiceNo: '2' }), line({ InvoiceNo: '3' })),
    );
    expect(reasons(intake)).to.deep.equal(['2 BrokenQuotes']);
    expect(refs(intake)).to.deep.equal([3, 4]);
  });

  it('lets an unclosed quote before broken lines and at the end cost no other line', () => {
    const intake = parseOrders(file('"a', '"b', ...Array<string>(9).fill('x'), line(), '"c'));
    expect(reasons(intake)).to.include.members([
      '2 BrokenQuotes',
      '3 BrokenQuotes',
      '4 WrongColumns',
      '14 BrokenQuotes',
    ]);
    expect(refs(intake)).to.deep.equal([13]);
  });

  it('splits an invoice of more than 100 lines, none of them twice', () => {
    const lines = Array.from({ length: 230 }, (_, i) => line({ StockCode: `SKU${i}` }));
    const { orders } = parseOrders(file(...lines));
    expect(orders.map((order) => [order.orderId, order.lines.length])).to.deep.equal([
      ['536365-p1', 100],
      ['536365-p2', 100],
      ['536365-p3', 30],
    ]);
  });

  it('says what is wrong with a file that has no header, or nothing at all', () => {
    expect(() => parseOrders(line())).to.throw(OrdersFileError, /line 1 must name the columns InvoiceNo,StockCode/);
    expect(() => parseOrders('')).to.throw(OrdersFileError, /empty/);
  });

  it('accounts for every line exactly once, whatever the text', () => {
    const value = fc.oneof(
      fc.constantFrom(
        '',
        '536365',
        'C536365',
        'POST',
        '85123A',
        '6',
        '-6',
        '2.55',
        '0.0',
        '2.555',
        'EIRE',
        '"',
        '""',
        ',',
        '\r',
        '9'.repeat(15),
      ),
      fc.string({ unit: 'grapheme', maxLength: 8 }),
    );
    const good = fc
      .record({
        InvoiceNo: fc.constantFrom('1', '2', 'A3', 'a3', 'C4'),
        StockCode: fc.constantFrom('A', 'a', 'B1', 'POST'),
        Quantity: fc.constantFrom('1', '0', '1000000'),
        UnitPrice: fc.constantFrom('0', '1.10', '9999999999'),
        Description: fc.constantFrom('', 'X', '"A, B"', '"A\nB"', '"A'),
      })
      .map(line);
    const wild = fc.array(value, { maxLength: 10 }).map((fields) => fields.join(','));
    const text = fc.array(fc.oneof(good, wild), { maxLength: 30 }).map((lines) => lines.join('\n'));
    const law = fc.property(text, (body) => {
      const whole = `${HEADER}\n${body}`;
      const ends = [...whole].filter((char) => char === '\n').length;
      const last = whole.endsWith('\n') ? ends : ends + 1;
      const intake = parseOrders(whole);
      const accounted = [...refs(intake), ...intake.refused.map((each) => each.line)].sort((a, b) => a - b);
      expect(accounted).to.deep.equal(Array.from({ length: last - 1 }, (_, i) => i + 2));
    });
    fc.assert(law, { numRuns: 1_000 });
  });

  it('makes orders that the API takes, whatever the text', () => {
    const fields = fc.record({
      InvoiceNo: fc.oneof(
        fc.constantFrom('1', '2'),
        fc.string({ maxLength: 6 }).filter((t) => !/[",\n\r]/.test(t)),
      ),
      StockCode: fc.string({ minLength: 1, maxLength: 34 }).filter((t) => !/[",\n\r]/.test(t)),
      Quantity: fc.integer({ min: -2, max: 1_200_000 }).map(String),
      UnitPrice: fc.oneof(
        fc.constantFrom('0', '1.10', '9999999999.99', '9999999999'),
        fc.float({ noNaN: true }).map(String),
      ),
    });
    const law = fc.property(fc.array(fields, { minLength: 1, maxLength: 20 }), (rows) => {
      for (const order of parseOrders(file(...rows.map(line))).orders) {
        const total = order.lines.reduce((sum, each) => sum + each.quantity * each.unitPrice, 0);
        expect(order.orderId).to.match(/^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$/);
        expect(order.lines.length).to.be.within(1, 100);
        expect(total).to.be.within(1, Number.MAX_SAFE_INTEGER);
        for (const each of order.lines) {
          expect(each.sku).to.match(/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,31}$/);
          expect(each.quantity).to.be.within(1, 1_000_000);
          expect(each.unitPrice).to.be.within(0, 1_000_000_000_000);
        }
      }
    });
    fc.assert(law, { numRuns: 300 });
  });
});
