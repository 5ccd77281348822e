import type { TSchema } from '@sinclair/typebox';
import type { JsonObject } from '../json.ts';
import type { Command } from '../participant/command.ts';
import type { Route } from './route.ts';

const json = (schema: TSchema | JsonObject, types: readonly string[] = ['application/json']) =>
  Object.fromEntries(types.map((type) => [type, { schema }]));
const problemContent = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
const refusal = (description: string) => ({ description, content: problemContent });

const commandHeaders = [
  ['Idempotency-Key', '{namespace}/{saga}/{orderId}/{step}/{action|compensation}', { type: 'string' }],
  ['Mercato-Epoch', 'counts the attempts that a person asked for, from 1', { type: 'integer', minimum: 1 }],
  ['Mercato-Begun', 'when the run began', { type: 'string', format: 'date-time' }],
].map(([name, description, schema]) => ({ name, in: 'header', required: true, description, schema }));

function commandPath(command: Command) {
  return {
    post: {
      operationId: command.name,
      tags: ['saga'],
      summary: command.summary ?? `${command.kind} ${command.name}`,
      description:
        command.kind === 'compensation'
          ? `Undoes ${(command.undoes ?? []).join(', ')}. Succeeds and changes nothing when there is nothing to undo.`
          : undefined,
      parameters: commandHeaders,
      requestBody: { required: true, content: json(command.input) },
      responses: {
        200: {
          description: 'success',
          content: json(command.kind === 'compensation' ? { type: 'object' } : command.output),
        },
        202: { description: 'accepted: repeat the same key later' },
        400: refusal('the request is wrong'),
        401: refusal('no good token'),
        409: refusal('reason FingerprintMismatch, StaleEpoch or Fenced'),
        410: refusal('reason KeyExpired'),
        422: refusal(`business failure; reasons: ${command.reasons.join(', ') || 'none'}`),
        425: refusal('in flight'),
        429: refusal('overloaded'),
      },
    },
  };
}

function routePath(route: Route) {
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const properties = (route.query?.['properties'] ?? {}) as Record<string, TSchema>;
  const required = (route.query?.['required'] ?? []) as string[];
  const inQuery = Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
  return {
    tags: ['administration'],
    summary: route.summary,
    parameters: [...inPath, ...inQuery],
    ...(route.body === undefined ? {} : { requestBody: { required: true, content: json(route.body, route.consumes) } }),
    responses: {
      200: { description: 'done', content: json(route.response) },
      default: refusal('a problem by RFC 9457'),
    },
  };
}

/** The OpenAPI 3.1 document of a participant: derived from the schemas that check its requests, so it cannot say anything else. */
export function openApi(
  service: string,
  version: string,
  commands: Iterable<Command>,
  routes: readonly Route[],
): object {
  const paths: Record<string, object> = {};
  for (const command of commands) paths[`/saga/${command.name}`] = commandPath(command);
  for (const route of routes) paths[route.path] = { ...paths[route.path], [route.method]: routePath(route) };
  return {
    openapi: '3.1.0',
    info: { title: `Mercato ${service}`, version },
    security: [{ serviceAccount: [] }],
    paths,
    components: {
      securitySchemes: { serviceAccount: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: {
        Problem: {
          type: 'object',
          description: 'RFC 9457',
          required: ['type', 'title', 'status', 'detail'],
          properties: {
            type: { type: 'string' },
            title: { type: 'string' },
            status: { type: 'integer' },
            detail: { type: 'string' },
            reason: { type: 'string' },
          },
        },
      },
    },
  };
}
