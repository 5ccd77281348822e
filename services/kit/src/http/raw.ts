import type { IncomingMessage, ServerResponse } from 'node:http';
import type { OnAnswered, RawRoute } from './route.ts';
import { sendError } from './saga.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

interface Pattern {
  readonly method: string;
  readonly form: RegExp;
  readonly route: RawRoute;
}

/**
 * Finds the raw route of a request, and gives what carries it out; undefined when there is none. A path without parameters costs one look-up.
 * @param onAnswered told each request when its answer is through, or its connection
 */
export function rawRouter(
  routes: readonly RawRoute[],
  onError: (error: unknown) => void,
  onAnswered: OnAnswered,
): (request: IncomingMessage) => Handler | undefined {
  const plain = new Map<string, Handler>();
  const patterns: Pattern[] = [];
  const carryOut = (route: RawRoute, params: Readonly<Record<string, string>>): Handler => {
    const { method, path } = route;
    return (request, response) => {
      const started = performance.now();
      response.once('close', () => onAnswered(method, path, response.statusCode, (performance.now() - started) / 1000));
      route.handle(request, response, params).catch((error: unknown) => sendError(response, error, onError));
    };
  };
  for (const route of routes) {
    const method = route.method.toUpperCase();
    if (!route.path.includes('{')) plain.set(`${method} ${route.path}`, carryOut(route, {}));
    else patterns.push({ method, form: new RegExp(`^${route.path.replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`), route });
  }
  return (request) => {
    const path = request.url!.split('?', 1)[0]!;
    const found = plain.get(`${request.method} ${path}`);
    if (found !== undefined) return found;
    for (const { method, form, route } of patterns) {
      const groups = request.method === method ? form.exec(path)?.groups : undefined;
      if (groups !== undefined) return carryOut(route, groups);
    }
    return undefined;
  };
}
