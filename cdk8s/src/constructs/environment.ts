import { choose, isEmpty, joined, text } from '../holes/index.ts';
import { calleesOf, isController, isStateful, portOf, serviceOf, subscribersOf } from '../model/derive.ts';
import type { Call, Setting } from '../model/types.ts';
import { addressOf, applies, CALLER_ACCOUNT, namespaceOf, type ServiceContext, subjectOf } from './context.ts';
import type { k8s } from './kube.ts';
import { callToken, DATA, JWKS, RELAY, secretFile } from './volumes.ts';

/**
 * The environment of a service's program: what services/kit/src/config.ts reads, what the model says, and nothing secret. Everything that is changed
 * here changes the pod template, so that a change of values rolls the pods.
 */
export function environment(ctx: ServiceContext): k8s.EnvVar[] {
  const own = isController(ctx.service) ? ofController(ctx) : ofService(ctx);
  return [...own, ...settings(ctx), ...secrets(ctx), ...addresses(ctx), ...(ctx.program?.env ?? [])];
}

function ofController({ service, values }: ServiceContext): k8s.EnvVar[] {
  return [
    { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
    { name: 'MERCATO_HEALTH_ADDRESS', value: `0.0.0.0:${portOf(service)}` },
    { name: 'MERCATO_LOG_LEVEL', value: values.logLevel },
  ];
}

function ofService(ctx: ServiceContext): k8s.EnvVar[] {
  const { service, values } = ctx;
  return [
    { name: 'HOST', value: '0.0.0.0' },
    { name: 'PORT', value: `${portOf(service)}` },
    ...(isStateful(service) ? [{ name: 'DATA_DIR', value: DATA }] : []),
    { name: 'LOG_LEVEL', value: values.logLevel },
    ...(service.runsIn === undefined ? [] : [{ name: service.runsIn, value: namespaceOf('shop', values.global) }]),
    ...tokens(ctx),
    ...events(ctx),
  ];
}

/** Whose tokens the service believes, and where it gets the keys to check them with. */
function tokens({ model, service, values }: ServiceContext): k8s.EnvVar[] {
  if (service.tokens === undefined) return [];
  const { global, allowedSubjects } = values;
  const { audience, eventSenders = [] } = service.tokens;
  const operator = subjectOf(CALLER_ACCOUNT, 'system', global);
  const senders = eventSenders.map((name) => {
    const sender = serviceOf(model, name);
    return subjectOf(isController(sender) ? CALLER_ACCOUNT : name, sender.zone, global);
  });
  return [
    { name: 'MERCATO_TOKEN_ISSUER', value: global.cluster.tokenIssuer },
    { name: 'MERCATO_JWKS_URL', value: global.cluster.jwksUrl },
    { name: 'MERCATO_JWKS_CA_FILE', value: `${JWKS}/ca.crt` },
    { name: 'MERCATO_JWKS_TOKEN_FILE', value: `${JWKS}/token` },
    { name: 'MERCATO_AUDIENCE', value: audience },
    {
      name: 'MERCATO_ALLOWED_SUBJECTS',
      // Commands are the operator's to send; whoever gets its events has its token, too, and must not come in by it elsewhere.
      value:
        service.api === true
          ? joined(allowedSubjects, ',')
          : choose(isEmpty(allowedSubjects), operator, text(operator, ',', joined(allowedSubjects, ','))),
    },
    ...(senders.length > 0 ? [{ name: 'MERCATO_EVENT_SENDERS', value: commaSeparated(senders) }] : []),
  ];
}

/** Where the service's events go. */
function events({ model, service, values }: ServiceContext): k8s.EnvVar[] {
  const relayToken = { name: 'MERCATO_RELAY_TOKEN_FILE', value: `${RELAY}/token` };
  if (service.announces !== undefined)
    return [{ name: 'MERCATO_EVENT_SUBSCRIBERS', value: joined(values.announceTo.addresses, ',') }, relayToken];
  const subscribers = subscribersOf(model, service).map((each) => text(addressOf(each, values.global), '/events'));
  if (subscribers.length === 0) return [];
  return [{ name: 'MERCATO_EVENT_SUBSCRIBERS', value: commaSeparated(subscribers) }, relayToken];
}

function settings({ service, values }: ServiceContext): k8s.EnvVar[] {
  return (service.settings ?? []).flatMap((setting) =>
    setting.variable === undefined
      ? []
      : [{ name: setting.variable, value: inWords(setting, values.settings[setting.name]) }],
  );
}

function inWords({ type, default: fallback }: Setting, value: string | number | boolean = fallback): string {
  return type === 'boolean' ? choose(value as boolean, 'true', 'false') : text(value as string | number);
}

/** Where the secrets are. Said even where a setting makes them unneeded; the program does not look then. */
function secrets({ service }: ServiceContext): k8s.EnvVar[] {
  return (service.secrets ?? []).map((secret) => ({ name: secret.variable, value: secretFile(secret) }));
}

function addresses({ model, service, values }: ServiceContext): k8s.EnvVar[] {
  const callees = calleesOf(model, service);
  // Empty where the call is not made: a chart cannot leave a variable out.
  const whereMade = (when: Call['when'], address: string) =>
    when === undefined ? address : choose(applies(when, values), address, '');
  return service.calls.flatMap(({ variable, door, path = '', token, when }, i) => {
    const callee = callees[i];
    if (callee === undefined) return [];
    return [
      ...(variable === undefined
        ? []
        : [{ name: variable, value: whereMade(when, text(addressOf(callee, values.global, door), path)) }]),
      ...(token === undefined ? [] : [{ name: token.variable, value: callToken(callee) }]),
    ];
  });
}

const commaSeparated = (parts: readonly string[]): string =>
  text(...parts.flatMap((part, i) => (i === 0 ? [part] : [',', part])));
