import type { Status } from './types.ts';

/** Which request failed. */
export interface RequestName {
  readonly method: string;
  readonly path: string;
}

/** The API server answered, and the answer was no. Tell answers apart by the predicates below, never by the message. */
export class ApiError extends Error {
  /** The HTTP status code. */
  readonly code: number;
  /** Kubernetes' machine-readable reason, e.g. `NotFound`; empty if the answer carried none. */
  readonly reason: string;
  /** The Status object, if the answer was one. */
  readonly status: Status | undefined;
  /** How long the server asked to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  readonly request: RequestName;

  constructor(request: RequestName, code: number, status: Status | undefined, text: string, retryAfterMs?: number) {
    super(`${request.method} ${request.path}: ${code} ${status?.reason ?? ''}: ${status?.message ?? text}`);
    this.name = 'ApiError';
    this.code = code;
    this.reason = status?.reason ?? '';
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.request = request;
  }
}

/** Why no usable answer came. */
export type TransportFailure =
  /** No connection could be made: nothing was sent. */
  | 'connect'
  /** The connection broke: the request may or may not have been carried out. */
  | 'connection-lost'
  /** The time allowed ran out: the request may or may not have been carried out. */
  | 'timeout'
  /** The caller's signal aborted it. */
  | 'aborted'
  /** The answer exceeded the size allowed. */
  | 'too-large'
  /** The answer said success and was not JSON. */
  | 'malformed';

/** No usable answer came from the API server. For a write that means that its outcome is unknown, except for `connect`. */
export class TransportError extends Error {
  readonly failure: TransportFailure;
  readonly request: RequestName;

  constructor(request: RequestName, failure: TransportFailure, detail: string, cause?: unknown) {
    super(`${request.method} ${request.path}: ${detail}`, cause === undefined ? undefined : { cause });
    this.name = 'TransportError';
    this.failure = failure;
    this.request = request;
  }
}

/** 404: no such object (or no such kind). */
export function isNotFound(error: unknown): error is ApiError {
  return error instanceof ApiError && error.code === 404;
}

/** 409 because the object changed since it was read (or a precondition on uid or resourceVersion failed). */
export function isConflict(error: unknown): error is ApiError {
  return error instanceof ApiError && error.code === 409 && error.reason === 'Conflict';
}

/** 409 because there is an object of that name already. */
export function isAlreadyExists(error: unknown): error is ApiError {
  return error instanceof ApiError && error.code === 409 && error.reason === 'AlreadyExists';
}

/** 410: the resourceVersion or the continue token is too old; list again. */
export function isGone(error: unknown): error is ApiError {
  return error instanceof ApiError && (error.code === 410 || error.reason === 'Expired' || error.reason === 'Gone');
}

/** 422: the object is not valid; trying again without changing it is useless. `status.details.causes` has the fields. */
export function isInvalid(error: unknown): error is ApiError {
  return error instanceof ApiError && error.code === 422;
}

/** 403: not allowed, by RBAC, admission or quota. */
export function isForbidden(error: unknown): error is ApiError {
  return error instanceof ApiError && error.code === 403;
}

/** 401: the credentials were not accepted. */
export function isUnauthorized(error: unknown): error is ApiError {
  return error instanceof ApiError && error.code === 401;
}

/** 429: the server sheds load; nothing was carried out. */
export function isTooManyRequests(error: unknown): error is ApiError {
  return error instanceof ApiError && error.code === 429;
}

/** Whether a create was refused because its namespace is being deleted: it cannot succeed until that is over. */
export function isNamespaceTerminating(error: unknown): error is ApiError {
  return (
    isForbidden(error) && (error.status?.details?.causes ?? []).some((cause) => cause.reason === 'NamespaceTerminating')
  );
}

/** Whether nobody can say if the request was carried out. */
export function isUnknownOutcome(error: unknown): boolean {
  if (error instanceof ApiError) return error.code >= 500;
  return error instanceof TransportError && error.failure !== 'connect';
}
