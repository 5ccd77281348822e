/** What stands for a card: a name that the vault or the processor gave out. Worth money, so never logged in full. */
export type PaymentToken = string & { readonly __brand: 'PaymentToken' };

/** The token, or undefined when the value is not `tok_` and 1 to 120 letters, digits, `_` or `-`. */
export function parsePaymentToken(value: unknown): PaymentToken | undefined {
  return typeof value === 'string' && /^tok_[A-Za-z0-9_-]{1,120}$/.test(value) ? (value as PaymentToken) : undefined;
}

/** The token as logs and rows may show it: `tok_` and its last four characters at most, and never more than half of it. */
export function maskToken(token: PaymentToken): string {
  const name = token.slice('tok_'.length);
  return `tok_***${name.slice(name.length - Math.min(4, Math.floor(name.length / 2)))}`;
}
