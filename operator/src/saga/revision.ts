import { INPUT_FIELDS } from '../api/ordersaga.ts';
import { canonicalJson, sha256 } from './canonical.ts';
import type { Revision, StepDefinition } from './types.ts';

/** Names a revision by its content: 20 hexadecimal digits of SHA-256 over its canonical JSON. Equal definitions are one revision. */
export function revisionOf(content: Omit<Revision, 'hash'>): Revision {
  const { steps, deadline, onStepFailure } = content;
  return {
    hash: sha256(canonicalJson({ steps, deadline, onStepFailure })).slice(0, 20),
    steps,
    deadline,
    onStepFailure,
  };
}

/** The index of the pivot; of a definition without one, the number of its steps (nothing is ever past it). */
export function pivotIndex(revision: Revision): number {
  const index = revision.steps.findIndex((step) => step.pivot);
  return index < 0 ? revision.steps.length : index;
}

/** The outputs of `step` that later steps use: what a person must supply to skip it. */
export function outputsUsedAfter(revision: Revision, step: string): string[] {
  const position = revision.steps.findIndex((candidate) => candidate.name === step);
  const fields = revision.steps
    .slice(position + 1)
    .flatMap((later) => later.uses)
    .filter((use) => use.startsWith(`${step}.`))
    .map((use) => use.slice(step.length + 1));
  return [...new Set(fields)];
}

/**
 * What is wrong with a definition, in sentences that say what to do; empty when nothing is. The API server refuses most of this already; journals
 * that have no API server before them rely on this.
 */
export function problemsOf(steps: readonly StepDefinition[]): string[] {
  const problems: string[] = [];
  const earlier = new Set<string>();
  let pivot: string | undefined;
  for (const step of steps) {
    if (earlier.has(step.name)) problems.push(`two steps are named ${step.name}: rename one of them`);
    if (step.pivot && pivot !== undefined)
      problems.push(`${pivot} and ${step.name} are both the pivot: a saga has at most one`);
    if (step.pivot) pivot ??= step.name;
    if (pivot !== undefined && step.compensation !== undefined) {
      problems.push(
        `${step.name} is ${step.pivot ? '' : 'after '}the pivot and is never compensated: remove its compensation`,
      );
    }
    problems.push(...problemsOfUses(step, earlier));
    earlier.add(step.name);
  }
  return problems;
}

function problemsOfUses(step: StepDefinition, earlier: ReadonlySet<string>): string[] {
  const problems: string[] = [];
  const names = new Set<string>();
  for (const use of step.uses) {
    const [source = '', field = ''] = use.split('.', 2);
    const known = source === 'input' ? (INPUT_FIELDS as readonly string[]).includes(field) : earlier.has(source);
    if (!known) {
      problems.push(
        `${step.name} uses ${use}, which is neither a field of input (${INPUT_FIELDS.join(', ')}) nor an output of an earlier step`,
      );
    }
    if (names.has(field)) problems.push(`${step.name} uses two fields named ${field}: a command gets each name once`);
    names.add(field);
  }
  return problems;
}
