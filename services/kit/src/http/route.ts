import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Static, TSchema } from '@sinclair/typebox';
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler';
import { Value } from '@sinclair/typebox/value';
import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import type { Caller, TokenCheck } from '../auth/tokens.ts';
import { ProblemError } from '../problem.ts';
import { traceparentOf } from '../traceparent.ts';

/** An answer of an operation besides its usual one: a problem, by its description, or what its body is; without a schema it has none. */
export type OtherAnswer = string | { readonly description: string; readonly schema?: TSchema };

/** What an operation takes and answers: its schemas check the request and make the OpenAPI document. */
export interface Operation<Query extends TSchema = TSchema, Body extends TSchema = TSchema> {
  readonly method: 'get' | 'put' | 'post' | 'delete';
  /** With parameters in braces: `/warehouses/{id}`. */
  readonly path: string;
  readonly summary: string;
  /** What it is listed under in the document. @default administration */
  readonly tag?: string;
  /** An object schema; strings from the URL are converted to the types that it asks for. */
  readonly query?: Query;
  /** Headers of requests, for the document: an object schema by their names. */
  readonly headers?: TSchema;
  readonly body?: Body;
  readonly response: TSchema;
  /** Of the usual answer. @default 200 */
  readonly status?: number;
  /** Content type of the usual answer. @default application/json */
  readonly produces?: string;
  /** All other answers, by status. @default any problem */
  readonly others?: Readonly<Record<number, OtherAnswer>>;
  /** Content types of the body, of which others are refused with 415. @default application/json */
  readonly consumes?: readonly string[];
}

/** An operation through express. All need a token. */
export interface Route<Query extends TSchema = TSchema, Body extends TSchema = TSchema> extends Operation<Query, Body> {
  /** Subjects of tokens that may call it, instead of those that may call the service. */
  readonly callers?: readonly string[];
  /** @returns the body of the usual answer, or a {@link Reply} @throws ProblemError */
  handle(request: {
    readonly params: Readonly<Record<string, string>>;
    readonly query: Static<Query>;
    readonly body: Static<Body>;
    readonly caller: Caller;
    /** W3C Trace Context that it came with, if that is one. */
    readonly traceparent?: string;
  }): Promise<unknown>;
}

/** An answer with a status of its own. */
export class Reply {
  readonly status: number;
  readonly body: unknown;

  constructor(status: number, body: unknown) {
    this.status = status;
    this.body = body;
  }
}

/**
 * An operation on Node's own request and response: for a hot path, where a framework would be a good part of the cost, and for streams. It checks token and
 * body itself; what it throws is answered as a problem.
 */
export interface RawRoute extends Operation {
  handle(request: IncomingMessage, response: ServerResponse, params: Readonly<Record<string, string>>): Promise<void>;
}

/** Ties the types of schemas and handler together; the value is the definition itself. */
export const route = <Query extends TSchema, Body extends TSchema>(definition: Route<Query, Body>): Route =>
  definition as unknown as Route;

/** Told each answer of an operation: its path as it is documented, its status, and the seconds that it took. */
export type OnAnswered = (method: string, path: string, status: number, seconds: number) => void;

/** An express router that carries out the routes, checking token, query and body before each. */
export function mount(
  routes: readonly Route[],
  tokens: TokenCheck,
  maxBytes: number,
  onAnswered: OnAnswered = () => {},
): Router {
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
    const timed = (_request: Request, response: Response, next: NextFunction) => {
      const started = performance.now();
      response.once('finish', () =>
        onAnswered(each.method, each.path, response.statusCode, (performance.now() - started) / 1000),
      );
      next();
    };
    router[each.method](path, timed, authenticate, json, async (request, response) => {
      const traceparent = traceparentOf(request.headers['traceparent']);
      const answer = await each.handle({
        params: request.params as Record<string, string>,
        query:
          each.query === undefined ? {} : checked(query!, Value.Convert(each.query, { ...request.query }), 'query'),
        body: body === undefined ? undefined : checked(body, request.body ?? {}, 'body'),
        caller: response.locals['caller'] as Caller,
        ...(traceparent && { traceparent }),
      });
      if (answer instanceof Reply) response.status(answer.status).json(answer.body);
      else response.status(each.status ?? 200).json(answer);
    });
  }
  return router;
}

function checked(check: TypeCheck<TSchema>, value: unknown, where: string): unknown {
  if (check.Check(value)) return value;
  const errors = [...check.Errors(value)].slice(0, 5).map(({ path, message }) => `${path || '/'}: ${message}`);
  throw new ProblemError(400, 'BadRequest', `the ${where} is wrong: ${errors.join('; ')}`);
}
