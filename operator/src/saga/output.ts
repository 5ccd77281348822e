import type { Json, Output } from './types.ts';

/** Contract, "Answers": what a run keeps of a step, as canonical JSON in UTF-8. */
export const MAX_OUTPUT_BYTES = 1024;

/**
 * An output as every journal gives it back: without members that are null (a Kubernetes API server drops them: to it they say "absent") and without
 * halves of characters (it replaces them, as this does). What came back otherwise would look like an edited journal, and hold the run.
 */
export function storable(output: Output): Output {
  return storableJson(output) as Output;
}

function storableJson(value: Json): Json {
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(storableJson);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== null)
      .map(([name, member]) => [name.toWellFormed(), storableJson(member)]),
  );
}
