import {
  addressesSetting,
  ConfigError,
  durationSetting,
  type Environment,
  integerSetting,
  listSetting,
  type Milliseconds,
  neededSetting,
  type ServiceConfig,
  type Subscriber,
} from '@mercato/kit';
import { ORDERS_TABLE } from './adapters/dynamodb/table.ts';
import { customerEventTypes, type Shop, sagaEventTypes } from './domain/events.ts';

/** The order service's own settings, from the environment. */
export interface OrderConfig {
  /** `MERCATO_NAMESPACE` (@default mercato-shop) and `MERCATO_SAGA` (@default checkout): which OrderSaga carries out orders. Not to be changed while orders are open. */
  readonly shop: Shop;
  /**
   * Those who are told over HTTP: the operator's intake (`MERCATO_INTAKE_URL`, `MERCATO_INTAKE_TOKEN_FILE`), without which `MERCATO_EVENT_BUS` brings it orders,
   * and who is told of customers' orders.
   */
  readonly subscribers: readonly Subscriber[];
  /** `MERCATO_ANNOUNCEMENTS_TOPIC`: ARN of the SNS topic with what customers are told. @default none */
  readonly topic: string | undefined;
  /** `MERCATO_ORDERS` (@default sqlite) and `MERCATO_ORDERS_TABLE` (@default orders): where orders are kept. */
  readonly store: { readonly kind: 'sqlite' } | { readonly kind: 'dynamodb'; readonly table: string };
  /** `MERCATO_CURRENCIES`: ISO 4217 codes with commas between them. @default any */
  readonly currencies: readonly string[] | undefined;
  /** `MERCATO_COMMIT_TARGET`: how long an order may wait for its commit before others are turned away. @default 50ms */
  readonly target: Milliseconds;
  /** `MERCATO_MAX_STREAMS`: streams of events that are open at once. @default 1000 */
  readonly maxStreams: number;
  /** `MERCATO_ORDER_RETENTION`: how long orders that are over are kept; longer than keys. @default 3650d */
  readonly orderRetention: Milliseconds;
}

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** Reads the order service's settings. @throws ConfigError that names the variable which is missing or wrong */
export function orderConfig(env: Environment, common: ServiceConfig): OrderConfig {
  const orderRetention = durationSetting(env, 'MERCATO_ORDER_RETENTION', '3650d');
  if (orderRetention < common.keyRetention)
    throw new ConfigError(
      'MERCATO_ORDER_RETENTION must not be shorter than MERCATO_KEY_RETENTION: a key names an order',
    );
  return {
    shop: {
      namespace: labelSetting(env, 'MERCATO_NAMESPACE', 'mercato-shop', 63),
      saga: labelSetting(env, 'MERCATO_SAGA', 'checkout', 40),
    },
    subscribers: [
      ...intakeOf(env, common.eventBus),
      ...common.subscribers.map((url) => ({ url, types: customerEventTypes })),
    ],
    topic: topicOf(env),
    store: storeOf(env),
    currencies: currenciesOf(env),
    target: durationSetting(env, 'MERCATO_COMMIT_TARGET', '50ms'),
    maxStreams: integerSetting(env, 'MERCATO_MAX_STREAMS', 1000, 0, 100_000),
    orderRetention,
  };
}

/** One way only: over two, every order would be told twice. */
function intakeOf(env: Environment, bus: string | undefined): readonly Subscriber[] {
  if (bus !== undefined) {
    if (!env['MERCATO_INTAKE_URL']) return [];
    throw new ConfigError(
      'MERCATO_INTAKE_URL and MERCATO_EVENT_BUS are both set: orders reach the operator by one way',
    );
  }
  const why =
    'Orders that no operator hears of would wait for ever: set it to where one takes events, as http://mercato-operator:8090/events';
  neededSetting(env, 'MERCATO_INTAKE_URL', why);
  const [url, ...more] = addressesSetting(env, 'MERCATO_INTAKE_URL');
  // Two would both carry out every order.
  if (url === undefined || more.length > 0) throw new ConfigError('MERCATO_INTAKE_URL must be one address');
  const tokenFile = env['MERCATO_INTAKE_TOKEN_FILE'] || undefined;
  return [{ url, name: 'operator', types: sagaEventTypes, tokenFile }];
}

function topicOf(env: Environment): string | undefined {
  const arn = env['MERCATO_ANNOUNCEMENTS_TOPIC'];
  if (!arn || /^arn:aws[\w-]*:sns:[\w-]+:\d{12}:[\w-]+$/.test(arn)) return arn || undefined;
  throw new ConfigError(`MERCATO_ANNOUNCEMENTS_TOPIC: "${arn}" is not the ARN of an SNS topic`);
}

function storeOf(env: Environment): OrderConfig['store'] {
  const kind = env['MERCATO_ORDERS'] || 'sqlite';
  if (kind === 'sqlite') return { kind };
  if (kind !== 'dynamodb') throw new ConfigError(`MERCATO_ORDERS must be sqlite or dynamodb, not "${kind}"`);
  const table = env['MERCATO_ORDERS_TABLE'] || ORDERS_TABLE.name;
  if (/^[\w.-]{3,255}$/.test(table)) return { kind, table };
  throw new ConfigError(`MERCATO_ORDERS_TABLE: "${table}" cannot be the name of a DynamoDB table`);
}

function currenciesOf(env: Environment): readonly string[] | undefined {
  const currencies = listSetting(env, 'MERCATO_CURRENCIES');
  for (const currency of currencies)
    if (!/^[A-Z]{3}$/.test(currency))
      throw new ConfigError(`MERCATO_CURRENCIES: "${currency}" is no ISO 4217 code, as GBP`);
  return currencies.length === 0 ? undefined : currencies;
}

function labelSetting(env: Environment, name: string, fallback: string, maxLength: number): string {
  const value = env[name] || fallback;
  if (label.test(value) && value.length <= maxLength) return value;
  throw new ConfigError(`${name} must be a lower-case DNS label of at most ${maxLength} characters, not "${value}"`);
}
