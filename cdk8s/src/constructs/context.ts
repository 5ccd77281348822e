import type { GlobalValues } from '../charts/global.ts';
import type { ServiceValues } from '../charts/service-values.ts';
import { all, equals, not, text } from '../holes/index.ts';
import { portOf, shared } from '../model/derive.ts';
import type { Call, Model, Service, Zone } from '../model/types.ts';
import type { k8s } from './kube.ts';

/** What the constructs of a service are given: the model, the service of it, and an installation's values or holes in their place. */
export interface ServiceContext {
  readonly model: Model;
  readonly service: Service;
  readonly values: ServiceValues;
  /** What the program is told that does not follow from the model. @default nothing */
  readonly program?: Program;
}

/** What a controller's chart adds to the one container. */
export interface Program {
  readonly args?: readonly string[];
  readonly env?: readonly k8s.EnvVar[];
}

/** The account without any rights as which the operator calls services. */
export const CALLER_ACCOUNT = 'mercato-caller';

/** What selects a service's pods. Never more than the name: selectors cannot be changed. */
export function selector({ name }: Service): Record<string, string> {
  return { 'app.kubernetes.io/name': name };
}

/** The labels of everything that a service has. */
export function labels(service: Service): Record<string, string> {
  return {
    ...selector(service),
    'app.kubernetes.io/part-of': 'mercato',
    'app.kubernetes.io/component': service.component,
  };
}

/** The namespace of a zone. */
export const namespaceOf = (zone: Zone, global: GlobalValues): string => global.namespaces[zone];

/** The metadata of an object of the service's. @param name @default the service's */
export function metadata(
  { service, values }: ServiceContext,
  name = service.name,
): { name: string; namespace: string; labels: Record<string, string> } {
  return { name, namespace: namespaceOf(service.zone, values.global), labels: labels(service) };
}

/** Where a service answers within the cluster, as `http://inventory.mercato-shop.svc:8080`. @param door @default where it answers everything else */
export function addressOf(service: Service, global: GlobalValues, door?: string): string {
  const { address = service.name } = service.doors?.find(({ name }) => name === door) ?? {};
  return text('http://', address, '.', namespaceOf(service.zone, global), '.svc:', portOf(service, door));
}

/** What a service account is called in its tokens. */
export function subjectOf(account: string, zone: Zone, global: GlobalValues): string {
  return text('system:serviceaccount:', namespaceOf(zone, global), ':', account);
}

/** Whether events go over the event bus and its queues instead of straight to who hears them. */
export const overBus = ({ aws }: GlobalValues): boolean => all(aws.enabled, aws.eventBus);

/** Whether saga commands go over queues to who takes them so. */
export const overQueues = ({ aws }: GlobalValues): boolean => all(aws.enabled, aws.commandQueues);

/** Whether a call is made under the settings of an installation. */
export const made = ({ when, unless }: Call, values: ServiceValues): boolean =>
  all(applies(when, values), unless === undefined || not(overBus(values.global)));

/** A service as some settings make it, and whether these are the installation's. */
export interface Shape {
  readonly service: Service;
  readonly holds: boolean;
}

/** What a service can be: with its books on a volume of its own, or where pods share them. Exactly one of the shapes holds. */
export function shapesOf({ service, values }: Pick<ServiceContext, 'service' | 'values'>): Shape[] {
  const { state } = service;
  const other = shared(service);
  if (other === undefined || state.kind !== 'embedded') return [{ service, holds: true }];
  const sharing = applies(state.shared, values);
  const alone: Service = { ...service, state: { kind: 'embedded', size: state.size } };
  return [
    { service: alone, holds: not(sharing) },
    { service: other, holds: sharing },
  ];
}

/** Whether something of the model holds under the settings of an installation: all of `when`, or always without it. */
export function applies(when: Readonly<Record<string, string>> | undefined, values: ServiceValues): boolean {
  return all(...Object.entries(when ?? {}).map(([name, value]) => equals(values.settings[name] ?? '', value)));
}
