import { API_VERSION, CATEGORY, type KindDefinition } from './kind.ts';
import { type Rule, structural } from './schema.ts';

/** A node of a structural schema, as far as a page of reference reads it. */
interface Node {
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly additionalProperties?: Node;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly 'x-kubernetes-validations'?: readonly Rule[];
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
}

interface Field {
  readonly path: string;
  readonly node: Node;
  readonly required: boolean;
}

/** The page of docs/reference about a kind, without its head. */
export function reference(kind: KindDefinition): string {
  const spec = fields('spec', structural(kind.spec) as Node);
  const status = fields('status', structural(kind.status) as Node);
  return [
    `# ${kind.kind}`,
    kind.description,
    `\`apiVersion: ${API_VERSION}\`, \`kind: ${kind.kind}\`. ${kind.scope}. Short name ${kind.shortNames.map(code).join(', ')}; category \`${CATEGORY}\`.` +
      (kind.selectableFields.length > 0
        ? ` Field selectors: ${kind.selectableFields.map((path) => code(path.slice(1))).join(', ')}.`
        : ''),
    '## spec',
    table(['field', 'type', 'default', 'limits', 'description'], spec.map(row)),
    '## What the API server refuses',
    'Besides what breaks a limit above. Each refusal says:',
    rules(kind, spec),
    '## status',
    'Written by its controller alone.',
    table(
      ['field', 'type', 'limits', 'description'],
      status.map(row).map(([field, type, , limits, text]) => [field, type, limits, text] as string[]),
    ),
    '## kubectl get',
    table(
      ['column', 'from', 'description'],
      kind.columns.map((column) => [
        column.name + (column.priority ? ' (`-o wide`)' : ''),
        code(column.jsonPath.slice(1)),
        column.description,
      ]),
    ),
  ]
    .join('\n\n')
    .concat('\n');
}

function fields(path: string, node: Node, required = true): Field[] {
  const below = Object.entries(node.properties ?? {}).flatMap(([name, child]) =>
    fields(`${path}.${name}`, child, node.required?.includes(name) ?? false),
  );
  const items = node.items ? fields(`${path}[]`, node.items) : [];
  // A list's own row speaks for its items too, unless these are objects.
  return [{ path, node, required }, ...(node.items?.properties ? items.slice(1) : []), ...below];
}

function row({ path, node, required }: Field): string[] {
  const fallback = node.default === undefined ? (required ? 'required' : '') : code(JSON.stringify(node.default));
  return [code(path), typeOf(node), fallback, limits(node), node.description ?? ''];
}

function typeOf(node: Node): string {
  if (node.enum) return node.enum.map(code).join(', ');
  if (node.type === 'array') return `list of ${node.items?.properties ? 'objects' : typeOf(node.items ?? {})}`;
  if (node.additionalProperties) return `map of ${typeOf(node.additionalProperties)}`;
  return node.format === 'date-time' ? 'date-time' : (node.type ?? 'any');
}

function limits(node: Node): string {
  const said: string[] = [];
  if (node.minimum !== undefined || node.maximum !== undefined)
    said.push(`${node.minimum ?? ''} to ${node.maximum ?? ''}`);
  if (node.maxLength !== undefined && node.format !== 'date-time') {
    said.push(`${node.minLength ? `${node.minLength} to ` : 'at most '}${node.maxLength} characters`);
  }
  if (node.maxItems !== undefined)
    said.push(`${node.minItems ? `${node.minItems} to ` : 'at most '}${node.maxItems} items`);
  if (node.maxProperties !== undefined) {
    said.push(`${node.minProperties ? `${node.minProperties} to ` : 'at most '}${node.maxProperties} fields`);
  }
  const keys = node['x-kubernetes-list-map-keys'];
  if (keys) said.push(`unique by ${keys.map(code).join(', ')}`);
  return said.join('; ');
}

function rules(kind: KindDefinition, spec: readonly Field[]): string {
  const said = [
    ...kind.rules.map((rule) => ({ path: 'metadata.name', rule })),
    ...spec.flatMap(({ path, node }) =>
      [
        ...(node['x-kubernetes-validations'] ?? []),
        ...(node.items?.properties ? [] : (node.items?.['x-kubernetes-validations'] ?? [])),
      ].map((rule) => ({
        path: path + (rule.fieldPath ?? ''),
        rule,
      })),
    ),
    ...spec.flatMap(({ path, node }) =>
      node.items?.properties
        ? (node.items['x-kubernetes-validations'] ?? []).map((rule) => ({
            path: `${path}[]${rule.fieldPath ?? ''}`,
            rule,
          }))
        : [],
    ),
  ];
  return [...new Set(said.map(({ path, rule }) => `- ${code(path)}: ${rule.message}`))].join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}

function code(text: string): string {
  return `\`${text}\``;
}
