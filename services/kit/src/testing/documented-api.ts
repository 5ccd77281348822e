import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

/** One request as a test sends it. */
export interface ApiRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON, a text as it is. */
  readonly body?: unknown;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Parsed, where it is JSON. */
  readonly body: unknown;
}

interface Media {
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}
interface Documented {
  readonly responses: Readonly<Record<string, Media>>;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Documented>>>>;
}

/**
 * Holds a service to its OpenAPI document: each answer must be documented by its status and content type and have the body that the document says.
 * Remembers which documented answers were seen, so that a test can ask for those that never come.
 */
export class DocumentedApi {
  readonly #document: Document;
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false });
  readonly #checks = new Map<string, ValidateFunction>();
  readonly #seen = new Set<string>();

  constructor(document: object) {
    this.#document = document as Document;
    this.#ajv.addSchema(document, 'document');
  }

  /** Reads the document of a running service. */
  static async of(url: string): Promise<DocumentedApi> {
    return new DocumentedApi((await (await fetch(`${url}/openapi.json`)).json()) as object);
  }

  /** Sends a request to a service, as `http://127.0.0.1:8080`. @throws Error that says how the answer differs from the document */
  async call(url: string, { method, path, headers, body }: ApiRequest): Promise<ApiAnswer> {
    const response = await fetch(url + path, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const type = (response.headers.get('content-type') ?? '').split(';')[0]!;
    const parsed: unknown = /json$/.test(type) ? JSON.parse(text) : undefined;
    this.#check(method, path.split('?', 1)[0]!, response.status, type, parsed ?? text);
    return { status: response.status, headers: response.headers, text, body: parsed };
  }

  /** The documented answers that have not been seen, as `post /orders 409`. An operation with a `default` can answer anything. */
  get unseen(): string[] {
    const all = Object.entries(this.#document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).flatMap(([method, { responses }]) =>
        Object.keys(responses).map((status) => `${method} ${path} ${status}`),
      ),
    );
    return all.filter((each) => !each.endsWith(' default') && !this.#seen.has(each)).sort();
  }

  #check(method: string, path: string, status: number, type: string, body: unknown): void {
    const found = this.#find(method.toLowerCase(), path);
    const what = `${method} ${path}: ${status} ${type}`;
    if (found === undefined) {
      if (status !== 404) throw new Error(`${what}: there is no such operation in the document`);
      return;
    }
    const { template, responses } = found;
    const key = String(status) in responses ? String(status) : 'default';
    const said = responses[key];
    if (said === undefined) throw new Error(`${what}: the document has no such answer`);
    this.#seen.add(`${method.toLowerCase()} ${template} ${key}`);
    if (said.content === undefined) {
      if (body !== '') throw new Error(`${what}: the document has no body for it`);
      return;
    }
    if (said.content[type] === undefined) throw new Error(`${what}: documented are ${Object.keys(said.content)}`);
    const pointer = ['paths', template, method.toLowerCase(), 'responses', key, 'content', type, 'schema'];
    const check = this.#checkOf(pointer);
    if (!check(body)) throw new Error(`${what}: ${this.#ajv.errorsText(check.errors)}: ${JSON.stringify(body)}`);
  }

  #find(method: string, path: string) {
    for (const [template, operations] of Object.entries(this.#document.paths)) {
      const form = new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`);
      const operation = operations[method];
      if (operation !== undefined && form.test(path)) return { template, responses: operation.responses };
    }
    return undefined;
  }

  #checkOf(pointer: readonly string[]): ValidateFunction {
    const ref = `document#/${pointer.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;
    const known = this.#checks.get(ref);
    if (known !== undefined) return known;
    const check = this.#ajv.compile({ $ref: ref });
    this.#checks.set(ref, check);
    return check;
  }
}
