import { join } from 'node:path';
import type { ControlPlane } from '@mercato/controlplane';
import { NODE_OPTIONS, WORKER_NODE_OPTIONS } from '@mercato/operator/node-options.ts';
import { CALLER, OPERATOR } from '@mercato/operator/rights.ts';
import type { SERVICES } from '../play/reach.ts';
import { OBSERVER_ACCOUNT, ORDER_ACCOUNT, ROOT, SHIPPING_ACCOUNT, SYSTEM_NAMESPACE } from './install.ts';
import type { ProgramSpec } from './process.ts';

/** The programs that make up the shop beside the control plane, in the order in which they are started and stopped the other way round. */
export const PROGRAMS = ['acquirer', 'carrier', 'inventory', 'payment', 'shipping', 'order', 'operator'] as const;

/** A program of the shop. */
export type ProgramName = (typeof PROGRAMS)[number];

/** Where something of the shop listens: a program each, and the operator's door for orders. */
export const DOORS = [...PROGRAMS, 'intake'] as const;
export type Door = (typeof DOORS)[number];

/** Where a shop's runs live: both have one operator, and need nothing installed. */
export const JOURNALS = ['kubernetes', 'sqlite'] as const;
export type Journal = (typeof JOURNALS)[number];

/** Where a shop's programs keep their things, and where they listen. */
export interface Site {
  /** Absolute: it marks the command lines of the shop's processes. */
  readonly folder: string;
  readonly ports: Readonly<Record<Door, number>>;
  /** @default kubernetes */
  readonly journal?: Journal;
  /** Where somebody hears what customers are told of their orders, as a subscriber of the order service. @default nobody does */
  readonly announceTo?: string;
}

/** The ports of `make up`: the services' are those of examples/participants.yaml. */
export const FIXED_PORTS: Site['ports'] = {
  operator: 18_080,
  inventory: 18_081,
  payment: 18_082,
  shipping: 18_083,
  acquirer: 18_084,
  carrier: 18_085,
  order: 18_086,
  intake: 18_087,
};

/** The namespace that the local shop's orders run in: examples/ are applied there. */
export const NAMESPACE = 'default';

/** Where something answers. */
export function urlOf(site: Site, name: Door): string {
  return `http://127.0.0.1:${site.ports[name]}`;
}

/** Where a program's log is. */
export function logOf(folder: string, name: ProgramName): string {
  return join(folder, 'logs', `${name}.log`);
}

const userOf = (account: string) => `system:serviceaccount:${SYSTEM_NAMESPACE}:${account}`;

/** The operator's identity, as its service account has it; RBAC (deploy/operator.yaml) gives it its rights and no others. */
export const OPERATOR_IDENTITY = {
  user: userOf(OPERATOR),
  groups: ['system:serviceaccounts', `system:serviceaccounts:${SYSTEM_NAMESPACE}`],
};

/** Files that the programs read. */
export function filesOf(folder: string) {
  return {
    authority: join(folder, 'ca.crt'),
    operatorKubeconfig: join(folder, 'operator.kubeconfig'),
    /** What shipping's events are sent with. */
    relayToken: join(folder, 'relay.token'),
    /** What the order service's events are sent with. */
    intakeToken: join(folder, 'intake.token'),
    /** What the order service tells subscribers with. */
    announceToken: join(folder, 'announce.token'),
    /** Of the sqlite journal. */
    journal: join(folder, 'data', 'operator', 'journal.sqlite'),
  };
}

const SCRIPTS: Readonly<Record<ProgramName, string>> = {
  acquirer: 'services/payment/src/acquirer/main.ts',
  carrier: 'services/shipping/src/carrier/main.ts',
  inventory: 'services/inventory/src/main.ts',
  payment: 'services/payment/src/main.ts',
  shipping: 'services/shipping/src/main.ts',
  order: 'services/order/src/main.ts',
  operator: 'operator/src/main.ts',
};

/** How the simulated companies are started. They need nobody. */
export function simulatorSpec(site: Site, name: 'acquirer' | 'carrier'): ProgramSpec {
  return { ...common(site, name), readyUrl: `${urlOf(site, name)}/health` };
}

/** How any of the programs is started. @param operatorFlags as for operatorSpec */
export function specOf(
  site: Site,
  name: ProgramName,
  plane: Pick<ControlPlane, 'url'>,
  operatorFlags: Readonly<Record<string, string>> = {},
): ProgramSpec {
  if (name === 'operator') return operatorSpec(site, operatorFlags);
  return name === 'acquirer' || name === 'carrier' ? simulatorSpec(site, name) : serviceSpec(site, name, plane);
}

/** How a service is started: it believes tokens of this cluster for its own audience, from the operator and from this program. */
export function serviceSpec(
  site: Site,
  name: (typeof SERVICES)[number] | 'order',
  plane: Pick<ControlPlane, 'url'>,
): ProgramSpec {
  const spec = common(site, name);
  const tokens = {
    MERCATO_TOKEN_ISSUER: plane.url,
    MERCATO_JWKS_URL: `${plane.url}/openid/v1/jwks`,
    MERCATO_JWKS_CA_FILE: filesOf(site.folder).authority,
    MERCATO_AUDIENCE: name,
    MERCATO_ALLOWED_SUBJECTS: [CALLER, OBSERVER_ACCOUNT].map(userOf).join(','),
  };
  const neighbours = {
    inventory: { MERCATO_EVENT_SENDERS: userOf(SHIPPING_ACCOUNT) },
    payment: { ACQUIRER_URL: urlOf(site, 'acquirer') },
    shipping: {
      CARRIER_URL: urlOf(site, 'carrier'),
      MERCATO_EVENT_SUBSCRIBERS: `${urlOf(site, 'inventory')}/events`,
      MERCATO_RELAY_TOKEN_FILE: filesOf(site.folder).relayToken,
    },
    order: {
      MERCATO_NAMESPACE: NAMESPACE,
      MERCATO_INTAKE_URL: `${urlOf(site, 'intake')}/events`,
      MERCATO_INTAKE_TOKEN_FILE: filesOf(site.folder).intakeToken,
      MERCATO_EVENT_SENDERS: userOf(CALLER),
      ...(site.announceTo === undefined
        ? {}
        : {
            MERCATO_EVENT_SUBSCRIBERS: site.announceTo,
            MERCATO_RELAY_TOKEN_FILE: filesOf(site.folder).announceToken,
          }),
    },
  };
  return { ...spec, env: { ...spec.env, ...tokens, ...neighbours[name] }, readyUrl: `${urlOf(site, name)}/ready` };
}

/**
 * How the operator is started: as itself, never as the administrator.
 * @param more flags without their dashes, as `{ 'lease-duration': '3s' }`
 */
export function operatorSpec(site: Site, more: Readonly<Record<string, string>> = {}): ProgramSpec {
  const spec = common(site, 'operator');
  const isSqlite = site.journal === 'sqlite';
  const flags = {
    kubeconfig: filesOf(site.folder).operatorKubeconfig,
    namespace: SYSTEM_NAMESPACE,
    'service-account': CALLER,
    'health-address': `127.0.0.1:${site.ports.operator}`,
    'intake-address': `127.0.0.1:${site.ports.intake}`,
    'intake-subjects': userOf(ORDER_ACCOUNT),
    'announce-to': `${urlOf(site, 'order')}/events`,
    ...(isSqlite ? { journal: 'sqlite', 'journal-path': filesOf(site.folder).journal } : {}),
    ...more,
  };
  return {
    ...spec,
    args: Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]),
    env: { NODE_OPTIONS: isSqlite ? WORKER_NODE_OPTIONS : NODE_OPTIONS },
    readyUrl: `${urlOf(site, 'operator')}/readyz`,
  };
}

function common(site: Site, name: ProgramName): Omit<ProgramSpec, 'readyUrl'> {
  return {
    name,
    script: join(ROOT, SCRIPTS[name]),
    // Read by nobody but ps: it says whose process this is.
    args: [`--site=${site.folder}`],
    env: { HOST: '127.0.0.1', PORT: String(site.ports[name]), DATA_DIR: join(site.folder, 'data', name) },
    logPath: logOf(site.folder, name),
  };
}
