const form = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** A traceparent of W3C Trace Context, version 00; undefined for what is none, which is dropped, as the standard asks. */
export function traceparentOf(text: string | readonly string[] | undefined): string | undefined {
  return typeof text === 'string' && form.test(text) ? text : undefined;
}
