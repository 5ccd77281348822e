import { stringify } from 'yaml';
import type { Block } from '../constructs/scope.ts';
import { type Found, HoleError, replaceHoles } from '../holes/hole.ts';
import type { Template } from './render.ts';

/**
 * YAML that Helm's reader, which is one for YAML 1.1, takes as it is meant (`on` and `1e3` in quotes), with each value on one line.
 */
export function yamlOf(object: unknown): string {
  return stringify(object, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false, indentSeq: true });
}

/** One object of a chart as a Helm template. */
export function templateOf({ object, blocks }: Template): string {
  const body = `---\n${fill(escapeBraces(yamlOf(object)))}`;
  return blocks.reduceRight((inner, block) => `${openingOf(block)}\n${inner}${closingOf(block)}\n`, body);
}

/** `range` makes the entry the dot, so `with` makes it the root again, and every expression means the same wherever it stands. */
function openingOf(block: Block): string {
  if (block.kind === 'if') return `{{- if ${block.condition} }}`;
  return `{{- range ${block.variable} := ${block.list} }}{{- with $ }}`;
}

const closingOf = ({ kind }: Block): string => (kind === 'if' ? '{{- end }}' : '{{- end }}{{- end }}');

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
