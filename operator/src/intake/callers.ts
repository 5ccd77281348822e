const SUBJECT = /^[^\s@,]{1,253}$/;
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Who may send events over HTTP, and of which namespaces' orders: one shop's order service must not cancel, or have refused, the orders of another. */
export class Callers {
  /** The namespaces of each; undefined: all that the operator looks after. */
  readonly #namespaces = new Map<string, Set<string> | undefined>();

  /**
   * @param said subjects of tokens, each with `@` and a namespace behind it where it is for that one only; one for several is said several times
   * @throws RangeError that quotes what is none
   */
  constructor(said: readonly string[]) {
    for (const each of said) {
      const [subject = '', namespace, ...more] = each.split('@');
      if (!SUBJECT.test(subject) || more.length > 0 || (namespace !== undefined && !NAMESPACE.test(namespace)))
        throw new RangeError(
          `${each}: say a subject, as system:serviceaccount:shop:mercato-order, or subject@namespace`,
        );
      const known = this.#namespaces.get(subject);
      const isForAll = namespace === undefined || (known === undefined && this.#namespaces.has(subject));
      this.#namespaces.set(subject, isForAll ? undefined : (known ?? new Set()).add(namespace));
    }
  }

  get subjects(): readonly string[] {
    return [...this.#namespaces.keys()];
  }

  /** Whether one of {@link subjects} may ask for something of an order in this namespace. */
  maySend(subject: string, namespace: string): boolean {
    const namespaces = this.#namespaces.get(subject);
    return this.#namespaces.has(subject) && (namespaces === undefined || namespaces.has(namespace));
  }
}
