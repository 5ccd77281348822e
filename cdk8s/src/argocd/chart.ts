import type { Environment } from '../model/types.ts';
import { childApplication, type Inherited, type Part } from './applications.ts';
import type { Installation, Manifest } from './types.ts';

/** What the environment's Application gives its children, as places in a template. The values' schema lets nothing through that YAML would read otherwise. */
const INHERITED: Inherited = {
  name: '{{ .Values.name }}',
  repoURL: '{{ .Values.repoURL }}',
  revision: '{{ .Values.revision }}',
  server: '{{ .Values.server }}',
};

/** The files of an environment's chart: one Application for each part, and only what those inherit left open. By path within the chart. */
export function environmentChart(
  environment: Environment,
  parts: readonly Part[],
  installation: Installation,
): ReadonlyMap<string, object> {
  const files = new Map<string, object>([
    [
      'Chart.yaml',
      {
        apiVersion: 'v2',
        name: `mercato-${environment}`,
        description: `The Argo CD Applications of the environment ${environment}`,
        type: 'application',
        version: '0.1.0',
      },
    ],
    ['values.yaml', defaults(environment, installation)],
    ['values.schema.json', SCHEMA],
  ]);
  for (const part of parts) {
    const application: Manifest = childApplication(part, environment, INHERITED, installation);
    files.set(`templates/${part.chart}.yaml`, application);
  }
  return files;
}

function defaults(environment: Environment, { repoURL, revision, servers }: Installation): Inherited {
  return { name: `mercato-${environment}`, repoURL, revision, server: servers[0] ?? '' };
}

const text = (description: string, pattern: string, maxLength: number) => ({
  type: 'string',
  description,
  pattern,
  maxLength,
});

const SCHEMA = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  type: 'object',
  additionalProperties: false,
  required: ['name', 'repoURL', 'revision', 'server'],
  properties: {
    name: text(
      "The name of the environment's Application; those of its charts begin with it.",
      '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
      200,
    ),
    repoURL: text('The repository that the charts come from.', '^[A-Za-z0-9@:/._~%+-]+$', 512),
    revision: text('The commit that is installed.', '^[A-Za-z0-9._/-]+$', 256),
    server: text('The API server of the cluster that is the environment.', '^https://[A-Za-z0-9.:/_-]+$', 512),
    global: { type: 'object', description: 'Helm itself adds it.' },
  },
} as const;
