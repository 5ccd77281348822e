import type { CommandKind, Json, Output, RunContext, RunId, RunInput, RunState, StepDefinition } from './types.ts';

/** The idempotency key of a step's command; the same for every attempt and epoch. */
export function commandKey(id: RunId, step: string, kind: CommandKind): string {
  return `${id.namespace}/${id.saga}/${id.orderId}/${step}/${kind}`;
}

/** `{namespace}/{saga}/{orderId}`: a run's name wherever a text is wanted. */
export function runKey(id: RunId): string {
  return `${id.namespace}/${id.saga}/${id.orderId}`;
}

/** The sum of the lines in minor units. Exact: the schema's limits keep it below 2^53. */
export function totalOf(input: RunInput): number {
  return input.lines.reduce((sum, line) => sum + line.quantity * line.unitPrice, 0);
}

/**
 * The body of a step's command: what it `uses`, each by its last segment, and nothing else. An output that an earlier step did not give is left
 * out; the participant refuses what it cannot work with.
 */
export function bodyOf(step: StepDefinition, context: RunContext, state: RunState): Output {
  const body: Record<string, Json> = {};
  for (const use of step.uses) {
    const dot = use.indexOf('.');
    const source = use.slice(0, dot);
    const field = use.slice(dot + 1);
    const value =
      source === 'input'
        ? inputField(context.input, field)
        : state.steps.find((s) => s.name === source)?.output?.[field];
    if (value !== undefined) body[field] = value;
  }
  return body;
}

function inputField(input: RunInput, field: string): Json | undefined {
  switch (field) {
    case 'total':
      return totalOf(input);
    case 'lines':
      return input.lines.map(({ sku, quantity, unitPrice }) => ({ sku, quantity, unitPrice }));
    case 'customer':
    case 'currency':
    case 'paymentToken':
    case 'shipTo':
      return input[field];
    default:
      return undefined;
  }
}
