import { ApiError } from './errors.ts';
import type { KubeObject, Status } from './types.ts';

/** One line of a watch. */
export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  /** Nothing happened up to this version; only its `metadata.resourceVersion` means anything. */
  | { readonly type: 'BOOKMARK'; readonly object: KubeObject };

/** A line of a watch that is no event. What the store holds may be wrong from here on, so the cure is a new list. */
export class MalformedEventError extends Error {
  /** The beginning of the line. */
  readonly excerpt: string;

  constructor(detail: string, line: string, cause?: unknown) {
    super(`malformed watch event: ${detail}`, cause === undefined ? undefined : { cause });
    this.name = 'MalformedEventError';
    this.excerpt = line.slice(0, 200);
  }
}

/**
 * Reads one line of a watch. Throws a MalformedEventError for what is no event, and an ApiError for an event of type ERROR, which carries a Status
 * (410 when the version to resume from is too old).
 */
export function parseWatchEvent<T extends KubeObject>(line: string, path: string): WatchEvent<T> {
  let event: { type?: unknown; object?: (KubeObject & Status) | null };
  try {
    event = JSON.parse(line);
  } catch (error) {
    throw new MalformedEventError('not JSON', line, error);
  }
  const object = event?.object;
  if (object === null || typeof object !== 'object') throw new MalformedEventError('it has no object', line);
  switch (event.type) {
    case 'ERROR':
      throw new ApiError({ method: 'WATCH', path }, object.code ?? 500, object as Status, line.slice(0, 200));
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      if (typeof object.metadata?.name !== 'string') throw new MalformedEventError('its object has no name', line);
      return { type: event.type, object: object as KubeObject as T };
    case 'BOOKMARK':
      if (typeof object.metadata?.resourceVersion !== 'string')
        throw new MalformedEventError('a bookmark without a version', line);
      return { type: 'BOOKMARK', object };
    default:
      throw new MalformedEventError(`unknown type ${JSON.stringify(event.type)}`, line);
  }
}
