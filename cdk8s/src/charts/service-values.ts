import { type Static, type TObject, type TSchema, Type } from '@sinclair/typebox';
import { canScale, isStateful, usesAws } from '../model/derive.ts';
import type { Service, Setting } from '../model/types.ts';
import { globalSchema } from './global.ts';
import { outsidePeer } from './peers.ts';
import {
  boolean,
  choice,
  group,
  integer,
  label,
  list,
  optionalString,
  quantity,
  string,
  strings,
  verbatim,
} from './schema.ts';

/** The schema of a setting. */
export const settingSchema = ({ type, default: fallback, description, limits }: Setting): TSchema =>
  ({
    type,
    description,
    default: fallback,
    ...(type === 'string' && { maxLength: 1024 }),
    ...limits,
  }) as unknown as TSchema;

/** What a service's chart may be told. The type has all groups; a service's schema has those that make sense for it. */
export function serviceSchema(service: Service) {
  const { name, resources, scale, settings = [], secrets = [], state } = service;
  const secretNames = [...new Set(secrets.map((secret) => secret.name))];
  const keysOf = (secret: string) =>
    secrets.flatMap((each) => (each.name === secret ? [`${each.key} (${each.description})`] : [])).join(' and ');
  return applicable(
    service,
    group(`Values of ${name}`, {
      global: globalSchema,
      enabled: boolean('Whether the umbrella chart installs it', true),
      image: group('The image', {
        repository: string('Its name in the registry', `mercato/${service.image}`, { pattern: '^[a-z0-9/._-]+$' }),
        tag: optionalString('Another version than global.image.tag', {
          pattern: '^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$',
        }),
        digest: optionalString('The digest, instead of a tag', { pattern: '^sha256:[0-9a-f]{64}$' }),
      }),
      resources: group('What one pod gets', {
        cpu: quantity('Processor time that is asked for', resources.cpu),
        memory: quantity('Memory that is asked for, and the limit', resources.memory),
      }),
      replicas: integer('Pods, where no autoscaler decides', scale.from, 0, 100),
      autoscaling: group('How far it scales, where several pods can do its work', {
        min: integer('Pods at least', scale.from, 1, 1000),
        max: integer('Pods at most', scale.to, 1, 1000),
        cpuPercent: integer(
          'Processor time to aim at, in percent of what is asked for',
          scale.cpuPercent ?? 65,
          10,
          95,
        ),
        memoryPercent: integer('Memory to aim at, in percent of what is asked for', scale.memoryPercent ?? 80, 10, 95),
        scaleInAfterSeconds: integer('How long less must be wanted before it scales in, in seconds', 300, 0, 3_600),
        messagesPerPod: integer('Messages waiting for each pod', scale.queue?.messagesPerPod ?? 100, 1, 100_000),
      }),
      persistence: group('The volume of a service with an embedded store', {
        size: quantity('Size of its volume', state.kind === 'embedded' ? state.size : '1Gi'),
        accessMode: choice(
          'Who may mount its volume: one pod, or where the storage does not know that, all pods of one node',
          ['ReadWriteOncePod', 'ReadWriteOnce'],
          'ReadWriteOncePod',
        ),
        storageClass: optionalString('StorageClass of its volume; null: the cluster’s default'),
      }),
      logLevel: choice('What is logged', ['debug', 'info', 'warn', 'error'], 'info'),
      settings: group(
        'Settings',
        Object.fromEntries(settings.map((setting) => [setting.name, settingSchema(setting)])),
      ),
      secrets: group(
        'Names of Secrets with what must not be in values',
        Object.fromEntries(
          secretNames.map((secret) => [secret, label(`The Secret with ${keysOf(secret)}`, `${name}-${secret}`)]),
        ),
      ),
      allowedSubjects: list(
        'Whose tokens it believes beside the operator’s, as system:serviceaccount:tools:administrator; they may use its administration too',
        Type.String({ pattern: '^[A-Za-z0-9:@._-]+$', maxLength: 253 }),
      ),
      callers: list('NetworkPolicy peers that may call it beside those that the model names', verbatim('A peer')),
      outsidePeers: list(
        'NetworkPolicy peers outside the cluster that it may call. A block with instance metadata in it must leave that out: except: [169.254.0.0/16]',
        outsidePeer('A peer'),
      ),
      announceTo: group(`Who is told over HTTP ${service.announces?.why ?? 'what happened'}`, {
        addresses: list(
          'Where they take CloudEvents in batches, as https://crm.example/events',
          Type.String({ pattern: '^https?://[A-Za-z0-9._~:/?=&%-]+$', maxLength: 1024 }),
        ),
        audience: string('Of the token that they get', service.announces?.audience ?? name, {
          pattern: '^[A-Za-z0-9:/._-]{1,253}$',
        }),
        peers: list(
          'What they are, as NetworkPolicy peers; a block with instance metadata in it must leave that out: except: [169.254.0.0/16]',
          outsidePeer('A peer'),
        ),
        ports: list('Their ports', Type.Integer({ minimum: 1, maximum: 65_535 }), [443]),
      }),
      podAnnotations: strings('More annotations of its pods'),
      nodeSelector: strings('Nodes that it may run on'),
      tolerations: list('Taints that it bears', verbatim('A toleration')),
      extraEnv: list('More environment variables', verbatim('A variable')),
      terminationGracePeriodSeconds: integer('How long a pod may take to end its work', 45, 15, 600),
    }),
  );
}

/** Leaves out what makes no difference to this service: a value that is taken and ignored would mislead. */
function applicable<T extends TObject>(service: Service, schema: T): T {
  const { settings = [], secrets = [], outside = [], tokens } = service;
  const ignored = {
    replicas: canScale(service) || isStateful(service),
    autoscaling: !canScale(service),
    persistence: !isStateful(service),
    settings: settings.length === 0,
    secrets: secrets.length === 0,
    allowedSubjects: tokens === undefined,
    // The PciBoundary says who calls a service of the card zone, and whom it calls.
    callers: service.zone === 'card',
    outsidePeers: service.zone === 'card' || (outside.length === 0 && !usesAws(service)),
    announceTo: service.announces === undefined,
  };
  const properties = Object.entries(schema.properties).filter(([name]) => !ignored[name as keyof typeof ignored]);
  return { ...schema, properties: Object.fromEntries(properties), required: properties.map(([name]) => name) };
}

/** Values of a service's chart. Settings and secrets are by the names that the model gives them. */
export type ServiceValues = Static<ReturnType<typeof serviceSchema>> & {
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  readonly secrets: Readonly<Record<string, string>>;
};
