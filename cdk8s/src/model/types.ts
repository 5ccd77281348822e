/** Where a service lives. Each is a namespace; their names are the installation's (values `global.namespaces`). */
export type Zone = 'system' | 'shop' | 'card' | 'boundary' | 'simulators';

/** `service`: a part of the shop. `simulator`: stands for a company outside. `controller`: reconciles resources. */
export type Component = 'service' | 'simulator' | 'controller';

/** Processor time and memory of one pod, as Kubernetes' quantities. */
export interface Resources {
  readonly cpu: string;
  /** Asked for, and the limit: a pod that needs more is a leak. There is no limit on the processor, which would only make a pod slow. */
  readonly memory: string;
}

/** How far a service goes out and in, and on what. */
export interface Scale {
  readonly from: number;
  readonly to: number;
  /** Of what is asked for, in percent. @default 65 */
  readonly cpuPercent?: number;
  /** Of what is asked for, in percent. @default 80 */
  readonly memoryPercent?: number;
  /** Messages waiting for each pod, where the service works off a queue of its own (needs KEDA). */
  readonly queue?: { readonly name: string; readonly messagesPerPod: number };
}

/** What is promised to whoever calls, over 30 days. */
export interface Objective {
  /** Percent of requests that are answered without a fault of ours, as 99.95. */
  readonly availability: number;
  /** `percent` of the requests are answered within `milliseconds`. */
  readonly latency: { readonly milliseconds: number; readonly percent: number };
  /** Requests a second that the promise holds for. */
  readonly throughput: number;
  /** Where the figures come from. */
  readonly source: string;
}

/** One way that a service opens connections, and why. All else is denied. */
export interface Call {
  /** A service of the model. */
  readonly to: string;
  readonly why: string;
  /** The environment variable that gets the address, as `http://acquirer.mercato-simulators.svc:8080`. @default none: the caller finds it elsewhere */
  readonly variable?: string;
  /** Which of the callee's {@link Door}s. @default where it answers everything else */
  readonly door?: string;
  /** Goes behind the address in `variable`, as `/events`. @default nothing */
  readonly path?: string;
  /** The token that it is made with, where neither events nor commands bring one: for this audience, in a file that the variable names. */
  readonly token?: { readonly audience: string; readonly variable: string };
  /** Settings under which it is made, as `{ processor: 'simulated' }`. @default always */
  readonly when?: Readonly<Record<string, string>>;
  /** Not made where what it says goes over the event bus (`global.aws.eventBus`). @default made there too */
  readonly unless?: 'bus';
}

/** Another port than where a service answers, for what must not share one with it. */
export interface Door {
  /** The port's name, as `intake`. */
  readonly name: string;
  readonly port: number;
  readonly why: string;
  /** The name of an address of its own, where other pods than the service's may answer: which, says the chart. @default the service's */
  readonly address?: string;
}

/** Something outside of the cluster that a service calls. */
export interface OutsideCall {
  readonly name: string;
  readonly ports: readonly number[];
  readonly why: string;
  /** Settings under which it is made. @default always */
  readonly when?: Readonly<Record<string, string>>;
}

/** A DynamoDB table. */
export interface Table {
  readonly name: string;
  readonly partitionKey: Attribute;
  readonly sortKey?: Attribute;
  readonly indexes?: readonly TableIndex[];
  /** The attribute with the time, in seconds since 1970, after which an item goes. */
  readonly timeToLive?: string;
  readonly why: string;
}

export interface Attribute {
  readonly name: string;
  readonly type: 'S' | 'N' | 'B';
}

export interface TableIndex {
  readonly name: string;
  readonly partitionKey: Attribute;
  readonly sortKey?: Attribute;
  readonly projection: 'ALL' | 'KEYS_ONLY';
}

/** An SQS queue; each has a dead-letter queue. */
export interface Queue {
  readonly name: string;
  /** Seconds that one receiver has for a message. */
  readonly visibilitySeconds: number;
  /** Receives before a message goes to the dead-letter queue. */
  readonly maxReceives: number;
  /** Whether its reader itself puts into the dead-letter queue what it can never take. @default false */
  readonly refuses?: boolean;
  readonly why: string;
}

/** The queue that a participant's commands come by, beside HTTP (docs/adr/sqs-participants.md). Its name, and that of its answers, follow from the service's. */
export interface Commands {
  /** Seconds that one receiver has for a command. */
  readonly visibilitySeconds: number;
  /** Receives before a command goes to the dead-letter queue: one whose answer could not be sent comes again. */
  readonly maxReceives: number;
}

/** What a service tells and hears over the event bus. */
export interface Events {
  /** The `source` of what it tells. @default `/mercato/<service>` */
  readonly source?: string;
  /** CloudEvents types, as `dev.mercato.shipping.picked-up`. */
  readonly publishes: readonly string[];
  /** Types that come to `queue`, which the service owns. */
  readonly consumes: readonly { readonly types: readonly string[]; readonly queue: string }[];
}

/** Whoever an installation names may be told of events over HTTP, beside services of the model. */
export interface Announcing {
  /** Of the token that they get. */
  readonly audience: string;
  readonly why: string;
}

/** An SNS topic. */
export interface Topic {
  readonly name: string;
  readonly why: string;
}

/** Something in AWS that is declared here, and by whose name or address a program finds it. */
export type Declared =
  | { readonly kind: 'bus' }
  | { readonly kind: 'queue'; readonly queue: string }
  | { readonly kind: 'table'; readonly table: string }
  | { readonly kind: 'topic'; readonly topic: string };

/** A setting that a chart asks for: an environment variable, a file, or both. */
export interface Setting {
  /** Under `settings` in the chart's values, camelCase. */
  readonly name: string;
  /** The environment variable. @default none: only the chart itself looks at it */
  readonly variable?: string;
  readonly type: 'string' | 'integer' | 'boolean';
  readonly default: string | number | boolean;
  /**
   * What an empty one means where AWS resources are declared: a bus' name (where events go over it), a queue's URL, a table's name, a topic's ARN. Said by
   * `global` once, so that nobody writes it twice. @default nothing
   */
  readonly declared?: Declared;
  /** JSON Schema's `enum`, `pattern`, `minimum`, `maximum`. */
  readonly limits?: Readonly<Record<string, unknown>>;
  readonly description: string;
}

/** A Secret that is mounted as files, never as variables: nothing secret is in an environment or an argument. */
export interface SecretFile {
  /** Under `secrets` in the chart's values: the name of the Secret, which somebody else makes (External Secrets). */
  readonly name: string;
  /** The key in the Secret, and the file's name. */
  readonly key: string;
  /** The variable that says where the file is. */
  readonly variable: string;
  readonly description: string;
  /** Settings under which it is needed, as `{ processor: 'stripe' }`. */
  readonly when: Readonly<Record<string, string>>;
}

/**
 * All that is said about a service. Its Deployment or StatefulSet, autoscaler, policies, alerts, dashboards, AWS resources and chart follow from it
 * (docs/concepts/model.md).
 */
export interface Service {
  readonly name: string;
  readonly description: string;
  readonly component: Component;
  readonly zone: Zone;
  /** The service whose other half it is: it is in that one's chart, and what is measured of it counts as that one's. @default none */
  readonly partOf?: string;
  /** The image's name (`mercato/<image>`), and the program in it. */
  readonly image: string;
  readonly program: string;
  /** Where it answers. @default 8080 */
  readonly port?: number;
  /** @default none */
  readonly doors?: readonly Door[];
  /** The environment variable that gets the namespace where sagas and their runs live. @default none */
  readonly runsIn?: string;
  /** Whether it has an API of its own instead of saga commands. @default false */
  readonly api?: boolean;
  readonly resources: Resources;
  readonly scale: Scale;
  /**
   * `none`: any pod can do any work. `embedded`: SQLite files on a volume of one pod; two pods would be two shops, so `scale` stays unused. `shared` are
   * the settings under which the service keeps its books where pods share them, as `{ store: 'dynamodb' }`: then it is as `none`.
   */
  readonly state:
    | { readonly kind: 'none' }
    | { readonly kind: 'embedded'; readonly size: string; readonly shared?: Readonly<Record<string, string>> };
  readonly objective: Objective;
  readonly calls: readonly Call[];
  readonly outside?: readonly OutsideCall[];
  /** The audience of the tokens that it wants, and whose it believes beside the operator's. Absent: it asks for none. */
  readonly tokens?: { readonly audience: string; readonly eventSenders?: readonly string[] };
  readonly tables?: readonly Table[];
  /** Tables of another service that it reads and writes too: two programs of one store. @default none */
  readonly sharedTables?: readonly Table[];
  readonly queues?: readonly Queue[];
  readonly topics?: readonly Topic[];
  readonly events?: Events;
  /** That it takes saga commands from a queue too, where `global.aws.commandQueues` says so. @default over HTTP only */
  readonly commands?: Commands;
  /** Whether it drives runs, and so sends commands to the queues of all who have one. @default false */
  readonly sendsCommands?: boolean;
  /** @default services of the model are told, and nobody else */
  readonly announces?: Announcing;
  /** Whether its program sends traces. @default services do; simulated companies and controllers do not */
  readonly traces?: boolean;
  /** Whether card data goes through it: then it lives in the zone `card`, and what reaches it is declared in the PciBoundary. */
  readonly cardData: boolean;
  readonly settings?: readonly Setting[];
  readonly secrets?: readonly SecretFile[];
  /** Environments that have it. @default all */
  readonly environments?: readonly Environment[];
}

export type Environment = 'kind' | 'staging' | 'production';
export const ENVIRONMENTS: readonly Environment[] = ['kind', 'staging', 'production'];

/** Everything there is. */
export interface Model {
  readonly services: readonly Service[];
}
