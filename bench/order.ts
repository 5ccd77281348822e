/** Where every order of the benchmarks goes. */
export const SHIP_TO = {
  name: 'Ada Byron',
  line1: "12 St James's Square",
  city: 'London',
  postcode: 'SW1Y 4JH',
  country: 'GB',
} as const;

/** What is ordered: three lines, about the median of the order book that the demo plays. */
export const INPUT = {
  customer: 'customer-17',
  currency: 'GBP',
  lines: [1, 2, 3].map((n) => ({ sku: `SKU-${n}`, quantity: n, unitPrice: 295 * n })),
  paymentToken: 'tok_visa',
  shipTo: SHIP_TO,
} as const;
