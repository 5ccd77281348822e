import type { Static, TSchema } from '@sinclair/typebox';
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler';
import { Value } from '@sinclair/typebox/value';
import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import type { Caller, TokenCheck } from '../auth/tokens.ts';
import { ProblemError } from '../problem.ts';

/** One administrative operation: its schemas check the request and make the OpenAPI document. All need a token. */
export interface Route<Query extends TSchema = TSchema, Body extends TSchema = TSchema> {
  readonly method: 'get' | 'put' | 'post' | 'delete';
  /** With parameters in braces: `/warehouses/{id}`. */
  readonly path: string;
  readonly summary: string;
  /** An object schema; strings from the URL are converted to the types that it asks for. */
  readonly query?: Query;
  readonly body?: Body;
  readonly response: TSchema;
  /** Content types of the body, of which others are refused with 415. @default application/json */
  readonly consumes?: readonly string[];
  /** Subjects of tokens that may call it, instead of those that may call the service. */
  readonly callers?: readonly string[];
  /** @throws ProblemError for everything that is not 200. */
  handle(request: {
    readonly params: Readonly<Record<string, string>>;
    readonly query: Static<Query>;
    readonly body: Static<Body>;
    readonly caller: Caller;
  }): Promise<unknown>;
}

/** Ties the types of schemas and handler together; the value is the definition itself. */
export const route = <Query extends TSchema, Body extends TSchema>(definition: Route<Query, Body>): Route =>
  definition as unknown as Route;

/** An express router that carries out the routes, checking token, query and body before each. */
export function mount(routes: readonly Route[], tokens: TokenCheck, maxBytes: number): Router {
  const router = express.Router();
  for (const each of routes) {
    const types = [...(each.consumes ?? ['application/json'])];
    const json = express.json({ limit: maxBytes, strict: true, type: types });
    const path = each.path.replaceAll(/\{(\w+)\}/g, ':$1');
    const query = each.query === undefined ? undefined : TypeCompiler.Compile(each.query);
    const body = each.body === undefined ? undefined : TypeCompiler.Compile(each.body);
    const authenticate = async (request: Request, response: Response, next: NextFunction) => {
      response.locals['caller'] = await tokens.check(request.headers.authorization, each.callers);
      if (each.consumes !== undefined && !request.is(types))
        throw new ProblemError(415, 'UnsupportedMediaType', `send ${types.join(' or ')}`);
      next();
    };
    router[each.method](path, authenticate, json, async (request, response) => {
      const answer = await each.handle({
        params: request.params as Record<string, string>,
        query:
          each.query === undefined ? {} : checked(query!, Value.Convert(each.query, { ...request.query }), 'query'),
        body: body === undefined ? undefined : checked(body, request.body ?? {}, 'body'),
        caller: response.locals['caller'] as Caller,
      });
      response.json(answer);
    });
  }
  return router;
}

function checked(check: TypeCheck<TSchema>, value: unknown, where: string): unknown {
  if (check.Check(value)) return value;
  const errors = [...check.Errors(value)].slice(0, 5).map(({ path, message }) => `${path || '/'}: ${message}`);
  throw new ProblemError(400, 'BadRequest', `the ${where} is wrong: ${errors.join('; ')}`);
}
