import { defaultsOf } from '../backends/values.ts';
import { type GlobalValues, globalSchema } from '../charts/global.ts';
import { usesAws } from '../model/derive.ts';
import type { Model, Service, Table } from '../model/types.ts';
import {
  answersOf,
  awsName,
  busName,
  commandsOf,
  deadLetterOf,
  KEYS,
  type KeyName,
  keyNamespace,
  messageKey,
  ruleOf,
  storeKey,
} from './names.ts';
import { HOLDS_DATA, HOLDS_NOTHING } from './objects.ts';
import { isFed, keyUses, permissionsOf } from './permissions.ts';
import { arnOf } from './role.ts';
import { WAVES } from './waves.ts';

/** An installation whose account, region and environment are still to be filled in. */
const PLACEHOLDERS: GlobalValues = (() => {
  const defaults = defaultsOf(globalSchema) as GlobalValues;
  return {
    ...defaults,
    environment: '<environment>' as GlobalValues['environment'],
    aws: { ...defaults.aws, accountId: '<account>', region: '<region>' },
  };
})();

/** The reference page of everything that a model has in AWS, and of what is allowed to whom. */
export function reference(model: Model): string {
  const users = model.services.filter(usesAws);
  return [
    '# AWS resources and permissions',
    INTRODUCTION,
    '## Shared: chart mercato-aws',
    shared(model),
    ...users.flatMap((service) => [`## ${service.name}`, stores(service), permissions(model, service)]),
    `Services without a section have nothing in AWS, and their pods get no AWS credentials: ${others(model)}.`,
    '## Order, and what is kept',
    order(),
  ].join('\n\n');
}

const INTRODUCTION = `Declared as resources of [ACK](https://aws-controllers-k8s.github.io/docs/)'s controllers where \`global.aws.enabled\` is true; [how to install it](../tasks/eks.md).
Names in AWS hold the environment and not the cluster, so that data outlives its cluster: \`mercato-<environment>-<name>\`. One installation of an environment for
each account: IAM's roles know no region.

Tables, queues and topics are encrypted with the keys below. The event bus and its archive are encrypted with a key of AWS' own: ACK's EventBus and Archive
have no field for another yet. What is on the bus holds no card data.

No role allows the use of a key, and no policy elsewhere in the account can: a key's own policy names the roles that use it, each only through the service
whose data it is. The account itself administers keys, and cannot decrypt without changing that policy
first, which CloudTrail records. People who move dead letters back to their queue do it as a role that mercato-aws is told
(\`redriveRoles\`). Wildcards are: \`Resource: "*"\` in a key's policy, where it means that key; and with \`global.aws.commandQueues\` the queues of answers, which processes make
for themselves (\`-answers-*\`), and \`sqs:ListQueues\`, which knows no resources. Without that value what is about commands and answers is not allowed to anybody.`;

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const code = (text: string): string => `\`${text}\``;
const codes = (texts: readonly string[]): string => texts.map(code).join(', ');

function shared(model: Model): string {
  const keys = KEYS.map((key) => [
    'Key',
    code(key),
    code(keyNamespace(PLACEHOLDERS, key)),
    `${code(`alias/${awsName(PLACEHOLDERS, key)}`)}, rotated every year; ${usersOf(model, key)}`,
  ]);
  const bus = code(busName(PLACEHOLDERS));
  const system = code(PLACEHOLDERS.namespaces.system);
  return table(
    ['kind', 'resource', 'namespace', 'in AWS'],
    [
      ...keys,
      ['EventBus', code('mercato'), system, bus],
      ['Archive', code('mercato'), system, `${bus}: all events, for ${code('archiveDays')} days`],
    ],
  );
}

function usersOf(model: Model, key: KeyName): string {
  const uses = keyUses(model)
    .filter((use) => use.key === key)
    .map(({ service, through, actions }) => `${service.name} (${codes(actions)}, through ${through})`);
  const fed = model.services.some(({ zone, events }) => messageKey(zone) === key && (events?.consumes.length ?? 0) > 0);
  const queues = model.services.some((each) => messageKey(each.zone) === key && (each.queues ?? []).length > 0);
  const all = [
    ...uses,
    ...(fed ? ['the event bus, for the queues that it feeds'] : []),
    ...(queues ? [`who moves dead letters back (\`redriveRoles.${key}\`)`] : []),
  ];
  return all.length === 0 ? 'nothing uses it yet' : `used by ${all.join('; ')}`;
}

function stores(service: Service): string {
  const { zone, tables = [], sharedTables = [], queues = [], topics = [], events } = service;
  const where = code(PLACEHOLDERS.namespaces[zone]);
  const rows = [
    ...tables.map((each) => ['Table', code(each.name), where, code(storeKey(zone)), `${each.why}: ${keysOf(each)}`]),
    ...sharedTables.map((each) => ['-', code(each.name), where, code(storeKey(zone)), `${each.why}; another's`]),
    ...queues.flatMap(({ name, why, visibilitySeconds, maxReceives }) => [
      [
        'Queue',
        code(name),
        where,
        code(messageKey(zone)),
        `${why}; ${fedBy(service, name)}; ${visibilitySeconds} s for each reader, 4 days`,
      ],
      [
        'Queue',
        code(deadLetterOf(name)),
        where,
        code(messageKey(zone)),
        `what ${maxReceives} receives did not deal with, 14 days`,
      ],
    ]),
    ...commandQueues(service),
    ...(events?.consumes ?? []).map(({ types, queue }) => [
      'Rule',
      code(ruleOf(queue)),
      where,
      '',
      `brings ${codes(types)} to ${code(queue)}`,
    ]),
    ...topics.map(({ name, why }) => ['Topic', code(name), where, code(messageKey(zone)), why]),
    ['Role', code(service.name), where, '', 'the permissions below, for the pods of its service account'],
    ['PodIdentityAssociation', code(service.name), where, '', `with ${code('identity: pod-identity')}`],
  ];
  return table(['kind', 'resource', 'namespace', 'key', 'what it is'], rows);
}

function commandQueues(service: Service): string[][] {
  if (service.commands === undefined) return [];
  const { visibilitySeconds, maxReceives } = service.commands;
  const rows = [
    [
      commandsOf(service),
      `commands of sagas; only who drives runs sends to it; ${visibilitySeconds} s for each reader, 1 hour`,
    ],
    [deadLetterOf(commandsOf(service)), `what ${maxReceives} receives did not deal with, 14 days`],
    [answersOf(service), 'the name and the encryption of the queues of answers; carries no message'],
  ] as const;
  return rows.map(([name, what]) => [
    'Queue',
    code(name),
    code(PLACEHOLDERS.namespaces[service.zone]),
    code(messageKey(service.zone)),
    `${what}; with ${code('aws.commandQueues')}`,
  ]);
}

const fedBy = (service: Service, queue: string): string =>
  isFed(service, queue) ? 'only its rule sends to it' : `only ${service.name} sends to it`;

function keysOf({ partitionKey, sortKey, indexes = [], timeToLive }: Table): string {
  const pair = (one: { name: string }, two?: { name: string }) =>
    two === undefined ? code(one.name) : `${code(one.name)} and ${code(two.name)}`;
  const found = indexes.map((index) => `${code(index.name)} by ${pair(index.partitionKey, index.sortKey)}`);
  return [
    `by ${pair(partitionKey, sortKey)}`,
    ...found,
    ...(timeToLive === undefined ? [] : [`gone after ${code(timeToLive)}`]),
  ].join('; ');
}

function permissions(model: Model, service: Service): string {
  const rows = permissionsOf(model, service).map(({ actions, resources, events, why }) => [
    codes(actions),
    codes(resources.map((resource) => arnOf(PLACEHOLDERS, resource))),
    events === undefined ? '' : `source ${code(events.source)}, detail-type ${codes(events.types)}`,
    why,
  ]);
  return table(['may', 'on', 'only', 'why'], rows);
}

const others = ({ services }: Model): string =>
  services
    .filter((service) => !usesAws(service))
    .map(({ name }) => name)
    .join(', ');

const order = (): string => {
  const waves = [
    [WAVES.foundations, 'keys, event bus'],
    [WAVES.stores, 'tables, queues, topics, archive, aliases of keys'],
    [WAVES.access, 'rules, roles'],
    [WAVES.associations, 'pod identity associations'],
    [WAVES.pods, 'pods'],
  ] as const;
  const kept = [...HOLDS_DATA].sort().join(', ');
  const remade = [...HOLDS_NOTHING].sort().join(', ');
  return `${table(
    ['wave', 'what'],
    waves.map(([wave, what]) => [String(wave), what]),
  )}

${kept} hold data, or take data along when they go: deleted in Kubernetes they stay in AWS (\`services.k8s.aws/deletion-policy: retain\`), and Argo CD does not prune them
(\`Prune=false\`). ${remade} are deleted with their resources, and made again from Git. A resource that is applied again takes over what is in AWS under its name
(\`adopt-or-create\`); a key has no name, so its id goes into \`keyIds\` of mercato-aws.
`;
};
