import { admission } from '@mercato/boundary/admission.ts';
import { ENVIRONMENT } from '@mercato/boundary/node-options.ts';
import { clusterRights, namespaceRights, withdrawRights } from '@mercato/boundary/rights.ts';
import { binding, role } from '@mercato/operator/api/rbac.ts';
import { type TSchema, Type } from '@sinclair/typebox';
import { type CardLimits, cardNamespace } from '../constructs/cardnamespace.ts';
import type { Program, ServiceContext } from '../constructs/context.ts';
import { beforeDelete, WEIGHTS } from '../constructs/hooks.ts';
import { BOUNDARY, type BoundaryValues, pciBoundary } from '../constructs/pciboundary.ts';
import { imageOf } from '../constructs/pod.ts';
import { rbac } from '../constructs/rights.ts';
import type { Scope } from '../constructs/scope.ts';
import { text } from '../holes/index.ts';
import { inZone, serviceOf } from '../model/derive.ts';
import type { Model, Service } from '../model/types.ts';
import { type ChartDefinition, defineChart } from './chart.ts';
import {
  boolean,
  extended,
  group,
  integer,
  label,
  list,
  namespaceList,
  optionalString,
  quantity,
  string,
  strings,
  verbatim,
} from './schema.ts';
import { serviceObjects } from './service-chart.ts';
import { type ServiceValues, serviceSchema, settingSchema } from './service-values.ts';

/** The controller's name: its account, its lease and its roles are called so. */
const CONTROLLER = 'mercato-boundary';
const DURATION = { pattern: '^[1-9][0-9]*(s|m|h)$', maxLength: 8 };
const CIDR = { pattern: '^[0-9a-fA-F.:]+/[0-9]{1,3}$', maxLength: 43 };

const blocks = (description: string) =>
  list(description, Type.Object({ cidr: Type.String(CIDR) }, { additionalProperties: Type.Array(Type.String(CIDR)) }));
const cidrs = (description: string, fallback: readonly string[] = []) =>
  list(description, Type.String(CIDR), fallback, { maxItems: 8 });

/** Settings of card services that decide which ways there are: this chart is told the same as theirs. */
function decisive(service: Service) {
  const named = new Set([...service.calls, ...(service.outside ?? [])].flatMap(({ when = {} }) => Object.keys(when)));
  return (service.settings ?? []).filter(({ name }) => named.has(name));
}

const perService = (model: Model, description: string, of: (service: Service) => readonly [string, TSchema][]) =>
  group(
    description,
    Object.fromEntries(
      inZone(model, 'card')
        .filter((service) => of(service).length > 0)
        .map((service) => [service.name, group(service.description, Object.fromEntries(of(service)))]),
    ),
  );

const outside = (why: string) =>
  group(`Where this is: ${why}`, {
    cidrs: blocks('Addresses, as { cidr, except? }; empty: nothing there is reached'),
    wide: boolean('Allows blocks wider than /8; only where the other side has no fixed addresses', false),
  });

const boundarySchema = (model: Model, service: Service) =>
  extended(serviceSchema(service), {
    cardNamespace: group('The namespace of card data', {
      enabled: boolean('Whether this chart makes it, with its quota and its deny policy', true),
      pods: integer('Pods at most, probes included', 30, 1, 1000),
      cpu: quantity('Processor time that all its pods may ask for', '8'),
      memory: quantity('Memory that all its pods may ask for', '16Gi'),
      claims: integer('Volumes at most', 10, 0, 100),
    }),
    settings: perService(
      model,
      'Settings of card services that decide whom these call; the same as in their charts',
      (each) => decisive(each).map((setting) => [setting.name, settingSchema(setting)]),
    ),
    outside: perService(model, 'Where companies outside of the cluster are', (each) =>
      (each.outside ?? []).map(({ name, why }) => [name, outside(why)]),
    ),
    aws: group('AWS', { cidrs: blocks('Where the VPC endpoints are that card services use: subnets') }),
    dns: group('The cluster’s DNS', {
      namespace: label('The namespace of cluster DNS', 'kube-system'),
      podLabels: strings('Labels of cluster DNS’ pods', { 'k8s-app': 'kube-dns' }),
      cidrs: cidrs('DNS servers that are no pods: EKS Auto Mode’s, by ClusterIP with /32'),
    }),
    apiServer: group('The API server, from which card services get the keys to check tokens with', {
      cidrs: cidrs(
        'The API server’s subnets and its ClusterIP, each /16 or narrower; empty: card services refuse every caller',
      ),
      ports: list('Ports of the API server', Type.Integer({ minimum: 1, maximum: 65_535 }), [443, 6443], {
        minItems: 1,
        maxItems: 4,
      }),
    }),
    ingress: list('More ways in, as in PciBoundary.spec.ingress', verbatim('A way')),
    egress: list('More ways out, as in PciBoundary.spec.egress', verbatim('A way')),
    access: list(
      'Who from outside has rights in the card namespace, as in PciBoundary.spec.access',
      verbatim('A subject'),
    ),
    probes: group('How it is proven that the network plugin enforces the policies', {
      interval: string('How often every way is tried; at least 30s', '10m', DURATION),
      namespaces: namespaceList('Where probes start that try what is forbidden; empty: nothing is probed', {
        default: ['mercato-shop'],
        maxItems: 8,
      }),
      image: optionalString('The image of probes; null: the controller’s'),
      outsideAddress: string('What stands for the outside world', '1.1.1.1:443', {
        pattern: '^[0-9a-zA-Z.:\\[\\]-]+:[0-9]{1,5}$',
      }),
    }),
    leaseDuration: string('How long a leader that died is waited for; at least 3s', '15s', DURATION),
    admission: boolean('Whether the admission policies are installed, which are the whole cluster’s', true),
  });

type ChartValues = ServiceValues &
  Omit<BoundaryValues, 'global' | 'settings'> & {
    readonly cardNamespace: CardLimits & { readonly enabled: boolean };
    readonly probes: BoundaryValues['probes'] & { readonly outsideAddress: string };
    readonly leaseDuration: string;
    readonly admission: boolean;
  };

/**
 * The chart of the PCI boundary: the card namespace, the PciBoundary that follows from the model's calls, the admission policies that prevent what can
 * be prevented, and the controller that keeps and proves the rest. A release of its own, so that nothing else is in audit scope.
 */
export function boundaryChart(model: Model): ChartDefinition {
  const service = serviceOf(model, CONTROLLER);
  return defineChart({
    name: service.name,
    description: service.description,
    values: boundarySchema(model, service),
    render(scope, given) {
      const values = given as unknown as ChartValues;
      const ctx = { model, service, values };
      scope.when(values.cardNamespace.enabled, (inner) => cardNamespace(inner, values.global, values.cardNamespace));
      serviceObjects(scope, { ...ctx, program: programOf(values, imageOf(ctx)) });
      rights(scope, values);
      scope.when(values.admission, (inner) => {
        for (const object of admission()) inner.add({ ...object });
      });
      const { outsideAddress: _, ...probes } = values.probes;
      pciBoundary(scope, model, { ...values, settings: values.settings as never, probes });
    },
    // Without its controller the PciBoundary would keep its finalizer, and Helm deletes kinds of ours last.
    hooks: (scope, given) => withdrawal(scope, { model, service, values: given as unknown as ChartValues }),
  });
}

/** Takes the PciBoundary away while the controller is still there. What is left is the deny policy. */
function withdrawal(scope: Scope, ctx: ServiceContext): void {
  const name = `${CONTROLLER}-withdraw`;
  const service: Service = { ...ctx.service, name, program: 'boundary/src/withdraw.ts' };
  const account = { namespace: ctx.values.global.namespaces.boundary, name };
  beforeDelete(scope, { ...ctx, service, program: { args: [`--name=${BOUNDARY}`] } }, WEIGHTS.boundary, (inner) =>
    rbac(inner, [role({ name }, withdrawRights(BOUNDARY)), binding({ name }, account)]),
  );
}

function programOf({ leaseDuration, probes }: ChartValues, image: string): Program {
  return {
    args: [
      text('--probe-image=', image),
      text('--outside-address=', probes.outsideAddress),
      text('--lease-duration=', leaseDuration),
    ],
    env: Object.entries(ENVIRONMENT).map(([name, value]) => ({ name, value })),
  };
}

function rights(scope: Scope, { global }: ChartValues): void {
  const account = { namespace: global.namespaces.boundary, name: CONTROLLER };
  const [everywhere, own] = [{ name: CONTROLLER }, { name: CONTROLLER, namespace: account.namespace }];
  rbac(scope, [
    role(everywhere, clusterRights),
    binding(everywhere, account),
    role(own, namespaceRights),
    binding(own, account),
  ]);
}
