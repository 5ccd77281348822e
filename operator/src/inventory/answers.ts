import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { excerpt } from '../participants/excerpt.ts';
import { InventoryRefused, InventoryUnavailable } from './errors.ts';

/** Statuses that are no refusal: the same request may do at another time, or with another token. */
const TRANSIENT = new Set([401, 403, 408, 413, 425, 429]);

const problem = TypeCompiler.Compile(Type.Object({ reason: Type.String(), detail: Type.Optional(Type.String()) }));

/** An HTTP answer as it came in. */
export interface RawReply {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/** A reader of answers of one schema. Fields that it does not name are ignored: inventory may be newer than we are. */
export function reader<Schema extends TSchema>(schema: Schema): (where: string, reply: RawReply) => Static<Schema> {
  const check = TypeCompiler.Compile(schema);
  return (where, reply) => {
    const body = parse(where, reply);
    if (reply.status !== 200) throw refusal(where, reply.status, body);
    if (check.Check(body)) return body;
    const error = check.Errors(body).First();
    throw new InventoryUnavailable(
      'NotUnderstood',
      `${where} answered what is no such answer: ${error?.path || '/'} ${error?.message ?? ''}; is it an inventory service?`,
    );
  };
}

function parse(where: string, { status, contentType, text }: RawReply): unknown {
  const type = contentType.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json' && type !== 'application/problem+json') {
    const said = text === '' ? '' : `: ${excerpt(text)}`;
    throw new InventoryUnavailable(
      status === 200 ? 'NotJson' : `Status${status}`,
      `${where} answered ${status} with ${type || 'no content type'}${said}`,
    );
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new InventoryUnavailable('NotJson', `${where} answered ${status} with broken JSON: ${excerpt(text)}`, cause);
  }
}

/** What a status other than 200 means. Without a reason a 4xx is no refusal of inventory's: a proxy may have said it. */
function refusal(where: string, status: number, body: unknown): Error {
  if (!problem.Check(body)) return new InventoryUnavailable(`Status${status}`, `${where} answered ${status}`);
  const detail = excerpt(body.detail ?? body.reason, 200);
  if (status < 400 || status >= 500 || TRANSIENT.has(status) || (status === 404 && body.reason === 'NotFound')) {
    return new InventoryUnavailable(`Status${status}`, `${where} answered ${status} ${body.reason}: ${detail}`);
  }
  return new InventoryRefused(status, body.reason, detail);
}
