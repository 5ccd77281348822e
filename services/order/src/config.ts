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
import { customerEventTypes, type Shop, sagaEventTypes } from './domain/events.ts';

/** The order service's own settings, from the environment. */
export interface OrderConfig {
  /** `MERCATO_NAMESPACE` (@default mercato-shop) and `MERCATO_SAGA` (@default checkout): which OrderSaga carries out orders. Not to be changed while orders are open. */
  readonly shop: Shop;
  /** The operator's intake (`MERCATO_INTAKE_URL`, `MERCATO_INTAKE_TOKEN_FILE`), and those who are told of customers' orders. */
  readonly subscribers: readonly Subscriber[];
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
    subscribers: [intakeOf(env), ...common.subscribers.map((url) => ({ url, types: customerEventTypes }))],
    currencies: currenciesOf(env),
    target: durationSetting(env, 'MERCATO_COMMIT_TARGET', '50ms'),
    maxStreams: integerSetting(env, 'MERCATO_MAX_STREAMS', 1000, 0, 100_000),
    orderRetention,
  };
}

function intakeOf(env: Environment): Subscriber {
  const why =
    'Orders that no operator hears of would wait for ever: set it to where one takes events, as http://mercato-operator:8090/events';
  neededSetting(env, 'MERCATO_INTAKE_URL', why);
  const [url, ...more] = addressesSetting(env, 'MERCATO_INTAKE_URL');
  // Two would both carry out every order.
  if (url === undefined || more.length > 0) throw new ConfigError('MERCATO_INTAKE_URL must be one address');
  return { url, types: sagaEventTypes, tokenFile: env['MERCATO_INTAKE_TOKEN_FILE'] || undefined };
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
