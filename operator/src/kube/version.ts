/**
 * Comparing resourceVersions. They were declared opaque for years; KEP-5504 ("Comparable Resource Version", Kubernetes 1.35) makes it part of
 * the API that they are decimal numbers of up to 64 bits and more, ordered within one resource. Text order is wrong ("9" > "10") and so is
 * `Number` beyond 2^53, hence the comparison by length and then text, which needs no allocation on the hot path.
 */

/** Whether this is a resourceVersion that can be compared: a decimal number without leading zeros. "0" and "" mean "any" and cannot. */
export function isComparableVersion(version: string | undefined): version is string {
  return version !== undefined && /^[1-9][0-9]*$/.test(version);
}

/**
 * Negative if `a` is older than `b`, zero if equal, positive if newer.
 * Throws a RangeError if either is not a decimal number: guessing an order could let an old object pass for a new one.
 */
export function compareVersions(a: string, b: string): number {
  if (!isComparableVersion(a) || !isComparableVersion(b)) {
    throw new RangeError(
      `cannot order resourceVersions "${a}" and "${b}": the API server must give decimal numbers (KEP-5504)`,
    );
  }
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
