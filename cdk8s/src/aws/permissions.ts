import { commanded } from '../model/derive.ts';
import type { Model, Service } from '../model/types.ts';
import { answersOf, commandsOf, deadLetterOf, type KeyName, messageKey, storeKey } from './names.ts';

/** What a permission is about, by the model's names. */
export type Resource =
  | { readonly kind: 'table'; readonly table: string }
  | { readonly kind: 'index'; readonly table: string; readonly index: string }
  | { readonly kind: 'queue'; readonly queue: string }
  /** Queues that processes make for themselves, each called `{queue}-{id}`. */
  | { readonly kind: 'queues-after'; readonly queue: string }
  /** Whatever there is: for an action that AWS bounds to nothing. */
  | { readonly kind: 'everything' }
  | { readonly kind: 'topic'; readonly topic: string }
  | { readonly kind: 'bus' };

/** Something that a service's role allows it. */
export interface Permission {
  readonly name: string;
  readonly why: string;
  readonly actions: readonly string[];
  readonly resources: readonly Resource[];
  /** The only events that it may put on the bus, and as whose. */
  readonly events?: { readonly source: string; readonly types: readonly string[] };
}

/** Something that a key's policy allows a service, and only through the AWS service whose data it is. */
export interface KeyUse {
  readonly key: KeyName;
  readonly service: Service;
  readonly through: 'dynamodb' | 'sqs' | 'sns';
  readonly actions: readonly string[];
}

/** Reads and writes of items. No Scan: it reads all there is, and nothing here needs that. */
const TABLE_ACTIONS = [
  'dynamodb:BatchGetItem',
  'dynamodb:BatchWriteItem',
  'dynamodb:ConditionCheckItem',
  'dynamodb:DeleteItem',
  'dynamodb:DescribeTable',
  'dynamodb:GetItem',
  'dynamodb:PutItem',
  'dynamodb:Query',
  'dynamodb:UpdateItem',
];

const RECEIVE_ACTIONS = [
  'sqs:ChangeMessageVisibility',
  'sqs:DeleteMessage',
  'sqs:GetQueueAttributes',
  'sqs:GetQueueUrl',
  'sqs:ReceiveMessage',
];

/** The `source` of a service's events, on the bus as in CloudEvents. */
export const eventSource = ({ name, events }: Service): string => events?.source ?? `/mercato/${name}`;

/** Whether events come to a queue, so that only the event bus sends to it. */
export const isFed = ({ events }: Service, queue: string): boolean =>
  events?.consumes.some((each) => each.queue === queue) ?? false;

/** Everything that a service may do in AWS, except with keys (`keyUses`). Nothing: it gets no role. */
export function permissionsOf(model: Model, service: Service): Permission[] {
  return [
    ...tablePermissions(service),
    ...queuePermissions(service),
    ...takingCommands(service),
    ...sendingCommands(model, service),
    ...topicPermissions(service),
    ...busPermissions(service),
  ];
}

function tablePermissions({ tables = [], sharedTables = [] }: Service): Permission[] {
  return [...tables, ...sharedTables].flatMap(({ name, indexes = [], why }) => {
    const items: Permission = {
      name: `items-${name}`,
      why,
      actions: TABLE_ACTIONS,
      resources: [{ kind: 'table', table: name }],
    };
    if (indexes.length === 0) return [items];
    const queries: Permission = {
      name: `indexes-${name}`,
      why,
      actions: ['dynamodb:Query'],
      resources: indexes.map((index) => ({ kind: 'index', table: name, index: index.name })),
    };
    return [items, queries];
  });
}

function queuePermissions(service: Service): Permission[] {
  return (service.queues ?? []).flatMap(({ name, why, refuses }): Permission[] => [
    {
      name: `queue-${name}`,
      why,
      actions: isFed(service, name) ? RECEIVE_ACTIONS : [...RECEIVE_ACTIONS, 'sqs:SendMessage'],
      resources: [{ kind: 'queue', queue: name }],
    },
    ...(refuses === true
      ? [
          {
            name: `refusals-${name}`,
            why: 'what can never be taken, with its reason',
            actions: ['sqs:SendMessage'],
            resources: [{ kind: 'queue' as const, queue: deadLetterOf(name) }],
          },
        ]
      : []),
  ]);
}

/** What a participant does over SQS: receives commands, and answers to queues of those who sent them. */
function takingCommands(service: Service): Permission[] {
  if (service.commands === undefined) return [];
  return [
    {
      name: 'commands',
      why: 'commands of sagas',
      actions: ['sqs:DeleteMessage', 'sqs:ReceiveMessage'],
      resources: [{ kind: 'queue', queue: commandsOf(service) }],
    },
    {
      name: 'answers',
      why: 'answers, to the queue of whoever sent the command',
      actions: ['sqs:SendMessage'],
      resources: [{ kind: 'queues-after', queue: answersOf(service) }],
    },
  ];
}

/** What goes with it on the side of the sender: docs/adr/sqs-participants.md says what each is for. */
function sendingCommands(model: Model, { sendsCommands }: Service): Permission[] {
  const participants = commanded(model);
  if (sendsCommands !== true || participants.length === 0) return [];
  return [
    {
      name: 'commands',
      why: 'commands of sagas',
      actions: ['sqs:SendMessage'],
      resources: participants.map((each) => ({ kind: 'queue', queue: commandsOf(each) })),
    },
    {
      name: 'answers',
      why: 'answers: each process makes a queue of its own, and removes that of one that died',
      actions: [
        'sqs:ChangeMessageVisibility',
        'sqs:CreateQueue',
        'sqs:DeleteMessage',
        'sqs:DeleteQueue',
        'sqs:ListQueueTags',
        'sqs:ReceiveMessage',
        'sqs:TagQueue',
      ],
      resources: participants.map((each) => ({ kind: 'queues-after', queue: answersOf(each) })),
    },
    {
      name: 'answers-encryption',
      why: 'how queues of answers are encrypted',
      actions: ['sqs:GetQueueAttributes'],
      resources: participants.map((each) => ({ kind: 'queue', queue: answersOf(each) })),
    },
    {
      name: 'answers-of-the-dead',
      why: 'finds queues of processes that died; this action knows no resources',
      actions: ['sqs:ListQueues'],
      resources: [{ kind: 'everything' }],
    },
  ];
}

function topicPermissions({ topics = [] }: Service): Permission[] {
  return topics.map(({ name, why }) => ({
    name: `topic-${name}`,
    why,
    actions: ['sns:Publish'],
    resources: [{ kind: 'topic', topic: name }],
  }));
}

function busPermissions(service: Service): Permission[] {
  const types = service.events?.publishes ?? [];
  if (types.length === 0) return [];
  return [
    {
      name: 'events',
      why: 'tells the others what happened',
      actions: ['events:PutEvents'],
      resources: [{ kind: 'bus' }],
      events: { source: eventSource(service), types },
    },
  ];
}

/** What each key's policy allows whom. */
export const keyUses = ({ services }: Model): KeyUse[] => services.flatMap(keyUsesOf);

function keyUsesOf(service: Service): KeyUse[] {
  const { zone, tables = [], sharedTables = [], queues = [], topics = [], commands, sendsCommands } = service;
  const uses: KeyUse[] = [];
  // DynamoDB unwraps a table's key in the name of whoever reads or writes.
  if (tables.length + sharedTables.length > 0)
    uses.push({ key: storeKey(zone), service, through: 'dynamodb', actions: ['kms:Decrypt', 'kms:DescribeKey'] });
  const talks = commands !== undefined || sendsCommands === true;
  if (queues.length > 0 || talks) {
    const sends = talks || queues.some(({ name, refuses }) => refuses === true || !isFed(service, name));
    uses.push({
      key: messageKey(zone),
      service,
      through: 'sqs',
      actions: sends ? ['kms:Decrypt', 'kms:GenerateDataKey'] : ['kms:Decrypt'],
    });
  }
  if (topics.length > 0)
    uses.push({
      key: messageKey(zone),
      service,
      through: 'sns',
      actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
    });
  return uses;
}
