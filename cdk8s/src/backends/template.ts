import { stringify } from 'yaml';
import { type Found, HoleError, replaceHoles } from '../holes/hole.ts';
import type { Template } from './render.ts';

/**
 * YAML that Helm's reader, which is one for YAML 1.1, takes as it is meant (`on` and `1e3` in quotes), with each value on one line.
 */
export function yamlOf(object: unknown): string {
  return stringify(object, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false, indentSeq: true });
}

/** One object of a chart as a Helm template. */
export function templateOf({ object, conditions }: Template): string {
  const body = fill(escapeBraces(yamlOf(object)));
  if (conditions.length === 0) return `---\n${body}`;
  return `{{- if ${conditionOf(conditions)} }}\n---\n${body}{{- end }}\n`;
}

const conditionOf = (conditions: readonly string[]): string =>
  conditions.length === 1 ? (conditions[0] as string) : `and ${conditions.map((each) => `(${each})`).join(' ')}`;

/** What is meant for somebody else's template language (Prometheus, Grafana) goes through Helm unread. */
function escapeBraces(text: string): string {
  return text.replaceAll('{{', '{{ "{{" }}');
}

/** Puts actions where the holes are. JSON is YAML, so whatever the value is, it cannot become structure. */
function fill(text: string): string {
  return text.split('\n').map(fillLine).join('\n');
}

function fillLine(line: string): string {
  const holes: Found[] = [];
  const filled = replaceHoles(line, (found) => {
    holes.push(found);
    return `{{ ${found.entries ? '.' : found.expression} | toJson }}`;
  });
  const optional = holes.find(({ nullable }) => nullable);
  const entries = holes.find((found) => found.entries);
  if (entries !== undefined) {
    if (!/^ *- \{\{ \. \| toJson \}\}$/.test(filled))
      throw new HoleError(`${entries.expression} stands for entries of a list, and is none of a list's`);
    return `{{- range ${entries.expression} }}\n${filled}\n{{- end }}`;
  }
  if (optional === undefined) return filled;
  if (!/^ *[^-\s:][^:]*: /.test(filled))
    throw new HoleError(
      `${optional.expression} may be absent, so it must be a map's entry, and not the first of a list's item`,
    );
  return `{{- if not (kindIs "invalid" (${optional.expression})) }}\n${filled}\n{{- end }}`;
}
