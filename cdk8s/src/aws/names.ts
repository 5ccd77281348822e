import type { GlobalValues } from '../charts/global.ts';
import { text } from '../holes/index.ts';
import type { Service, Zone } from '../model/types.ts';

/** A key of KMS that data of this shop is encrypted with. */
export type KeyName = 'shop' | 'card' | 'events';
export const KEYS: readonly KeyName[] = ['shop', 'card', 'events'];

/** The event bus, as a resource of Kubernetes. */
export const BUS = 'mercato';

/** The queue that takes what a queue's readers gave up on, and what the event bus could not deliver to it. */
export const deadLetterOf = (queue: string): string => `${queue}-dead-letter`;

/** The queue that a service's commands come by. */
export const commandsOf = ({ name }: Pick<Service, 'name'>): string => `${name}-commands`;

/**
 * The queue that those of the answers are named after and encrypted like. It carries no message: each process that sends commands makes one of its own,
 * `{name}-{12 hex digits}` (docs/adr/sqs-participants.md).
 */
export const answersOf = ({ name }: Pick<Service, 'name'>): string => `${name}-answers`;

/** The rule that brings events to a queue. */
export const ruleOf = (queue: string): string => `to-${queue}`;

/**
 * The name of something in the account. It has the environment in it, so that staging and production can share an account, and not the cluster's name,
 * so that data outlives its cluster.
 */
export const awsName = (global: GlobalValues, name: string): string => text('mercato-', global.environment, '-', name);

export const busName = (global: GlobalValues): string => text('mercato-', global.environment);

/** Something of an AWS service in the installation's account and region. */
export const regionArn = (global: GlobalValues, service: string, rest: string): string =>
  text('arn:aws:', service, ':', global.aws.region, ':', global.aws.accountId, ':', rest);

/** Something of an AWS service that knows no regions. */
export const accountArn = (global: GlobalValues, service: string, rest: string): string =>
  text('arn:aws:', service, '::', global.aws.accountId, ':', rest);

export const tableArn = (global: GlobalValues, table: string): string =>
  regionArn(global, 'dynamodb', text('table/', awsName(global, table)));

export const indexArn = (global: GlobalValues, table: string, index: string): string =>
  text(tableArn(global, table), '/index/', index);

export const queueArn = (global: GlobalValues, queue: string): string =>
  regionArn(global, 'sqs', awsName(global, queue));

/** Where a queue is called, as clients and KEDA's scaler want it. */
export const queueUrl = (global: GlobalValues, queue: string): string =>
  text('https://sqs.', global.aws.region, '.amazonaws.com/', global.aws.accountId, '/', awsName(global, queue));

export const topicArn = (global: GlobalValues, topic: string): string =>
  regionArn(global, 'sns', awsName(global, topic));

export const busArn = (global: GlobalValues): string =>
  regionArn(global, 'events', text('event-bus/', busName(global)));

export const ruleArn = (global: GlobalValues, queue: string): string =>
  regionArn(global, 'events', text('rule/', busName(global), '/', awsName(global, ruleOf(queue))));

export const clusterArn = (global: GlobalValues): string =>
  regionArn(global, 'eks', text('cluster/', global.cluster.name));

/** The role of a service's pods. On EKS with IRSA, the annotation `eks.amazonaws.com/role-arn` of its service account. */
export const roleArn = (global: GlobalValues, service: Service): string =>
  accountArn(global, 'iam', text('role/', awsName(global, service.name)));

/** The key of what a service keeps. Card data has its own, which nothing else is encrypted with. */
export const storeKey = (zone: Zone): KeyName => (zone === 'card' ? 'card' : 'shop');

/** The key of what travels to and from a service. */
export const messageKey = (zone: Zone): KeyName => (zone === 'card' ? 'card' : 'events');

/** Where the resource for a key is: the card key is with the card data, out of reach of whoever looks after the shop. */
export const keyNamespace = (global: GlobalValues, key: KeyName): string =>
  key === 'card' ? global.namespaces.card : global.namespaces.system;
