import type { JsonObject } from './json.ts';

/** A problem by RFC 9457. `type` is `about:blank` unless said otherwise: `title` then is the status's own phrase. */
export interface Problem extends JsonObject {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly reason?: string;
}

const titles: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  425: 'Too Early',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** Builds a problem; `detail` says what was wrong, where, and what to do. */
export function problem(status: number, reason: string | undefined, detail: string, more: JsonObject = {}): Problem {
  return {
    type: 'about:blank',
    title: titles[status] ?? 'Error',
    status,
    detail,
    ...(reason === undefined ? {} : { reason }),
    ...more,
  };
}

/** An error that already knows which problem it is; HTTP handlers answer with it. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(status: number, reason: string | undefined, detail: string, more: JsonObject = {}) {
    super(detail);
    this.name = 'ProblemError';
    this.problem = problem(status, reason, detail, more);
  }
}
