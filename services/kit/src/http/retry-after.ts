/**
 * How long one client is to stay away, so that those who were turned away together do not come again together: between `least` and twice that. From a
 * second on in whole ones, each as likely, since most clients hear no others.
 * @param least seconds
 * @param random from 0 to 1, 1 excluded
 * @returns seconds
 */
export function spread(least: number, random: () => number = Math.random): number {
  if (least < 1) return least * (1 + random());
  const whole = Math.ceil(least);
  return whole + Math.floor(random() * (whole + 1));
}

/**
 * The headers that say when to come again. `Retry-After` has whole seconds (RFC 9110, 10.2.3), at least one; `Mercato-Retry-After-Ms` says it exactly to callers
 * that know it: a participant's answer is worth asking for again after 200 ms.
 * @param seconds decimals allowed
 */
export function retryAfterHeaders(seconds: number): readonly (readonly [name: string, value: string])[] {
  return [
    ['Retry-After', String(Math.max(1, Math.ceil(seconds)))],
    ['Mercato-Retry-After-Ms', String(Math.ceil(seconds * 1000))],
  ];
}
