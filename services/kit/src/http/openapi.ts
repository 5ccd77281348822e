import type { TSchema } from '@sinclair/typebox';
import type { JsonObject } from '../json.ts';
import type { Command } from '../participant/command.ts';
import type { Operation } from './route.ts';

const json = (schema: TSchema | JsonObject, types: readonly string[] = ['application/json']) =>
  Object.fromEntries(types.map((type) => [type, { schema }]));
const problemContent = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
const refusal = (description: string) => ({ description, content: problemContent });

const answer = (description: string, schema: TSchema | undefined) =>
  schema === undefined ? { description } : { description, content: json(schema) };

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

function operation(described: Operation) {
  const { path, query, headers, body, consumes, status = 200, response, produces, others } = described;
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const answers = Object.entries(others ?? {}).map(([code, said]) => [
    code,
    typeof said === 'string' ? refusal(said) : answer(said.description, said.schema),
  ]);
  return {
    tags: [described.tag ?? 'administration'],
    summary: described.summary,
    parameters: [...inPath, ...parameters('query', query), ...parameters('header', headers)],
    ...(body === undefined ? {} : { requestBody: { required: true, content: json(body, consumes) } }),
    responses: {
      [status]: { description: 'done', content: json(response, produces === undefined ? undefined : [produces]) },
      ...(others === undefined ? { default: refusal('a problem by RFC 9457') } : Object.fromEntries(answers)),
    },
  };
}

/** Each property of an object schema, as a parameter. */
function parameters(place: 'query' | 'header', schema: TSchema | undefined) {
  const properties = (schema?.['properties'] ?? {}) as Record<string, TSchema>;
  const required = (schema?.['required'] ?? []) as string[];
  return Object.entries(properties).map(([name, each]) => ({
    name,
    in: place,
    required: required.includes(name),
    schema: each,
  }));
}

/** The OpenAPI 3.1 document of a service: derived from the schemas that check its requests, so it cannot say anything else. */
export function openApi(
  service: string,
  version: string,
  commands: Iterable<Command>,
  operations: readonly Operation[],
): object {
  const paths: Record<string, object> = {};
  for (const command of commands) paths[`/saga/${command.name}`] = commandPath(command);
  for (const each of operations) paths[each.path] = { ...paths[each.path], [each.method]: operation(each) };
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
