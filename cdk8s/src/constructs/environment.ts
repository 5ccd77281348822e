import { answersOf, awsName, busName, commandsOf, queueUrl, topicArn } from '../aws/names.ts';
import type { GlobalValues } from '../charts/global.ts';
import { choose, equals, isEmpty, joined, text } from '../holes/index.ts';
import {
  calleesOf,
  isController,
  isStateful,
  portOf,
  serviceOf,
  subscribersOf,
  traces,
  usesAws,
} from '../model/derive.ts';
import type { Call, Declared, Setting } from '../model/types.ts';
import {
  addressOf,
  CALLER_ACCOUNT,
  made,
  namespaceOf,
  overBus,
  overQueues,
  type ServiceContext,
  subjectOf,
} from './context.ts';
import type { k8s } from './kube.ts';
import { callToken, DATA, JWKS, RELAY, secretFile } from './volumes.ts';

/**
 * The environment of a service's program: what services/kit/src/config.ts reads, what the model says, and nothing secret. Everything that is changed
 * here changes the pod template, so that a change of values rolls the pods.
 */
export function environment(ctx: ServiceContext): k8s.EnvVar[] {
  const own = isController(ctx.service) ? ofController(ctx) : ofService(ctx);
  return [
    ...own,
    ...settings(ctx),
    ...secrets(ctx),
    ...addresses(ctx),
    ...commands(ctx),
    ...tracing(ctx),
    ...(ctx.program?.env ?? []),
  ];
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
    ...(usesAws(service) ? [{ name: 'AWS_REGION', value: values.global.aws.region }] : []),
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
  // Not over both: each event would come twice.
  const value = choose(overBus(values.global), '', commaSeparated(subscribers));
  return [{ name: 'MERCATO_EVENT_SUBSCRIBERS', value }, relayToken];
}

function settings({ service, values }: ServiceContext): k8s.EnvVar[] {
  return (service.settings ?? []).flatMap((setting) =>
    setting.variable === undefined
      ? []
      : [{ name: setting.variable, value: orDeclared(setting, values.settings[setting.name], values.global) }],
  );
}

/** An installation's own value, or what is declared in its place. */
function orDeclared(setting: Setting, value: string | number | boolean | undefined, global: GlobalValues): string {
  const { declared } = setting;
  const said = inWords(setting, value);
  if (declared === undefined) return said;
  const name = nameOf(declared, global);
  // Whether events go over a bus is said for all at once: what one service sent there nobody else would hear.
  if (declared.kind === 'bus') return choose(overBus(global), choose(equals(said, ''), name, said), '');
  return choose(equals(said, ''), choose(global.aws.enabled, name, ''), said);
}

/** What a program knows something by that is declared. A queue is read wherever there is AWS: what lies in it when the bus is switched off is not lost. */
function nameOf(declared: Declared, global: GlobalValues): string {
  switch (declared.kind) {
    case 'bus':
      return busName(global);
    case 'queue':
      return queueUrl(global, declared.queue);
    case 'table':
      return awsName(global, declared.table);
    case 'topic':
      return topicArn(global, declared.topic);
  }
}

/** Where commands come from beside HTTP, and which queues answers may go to. */
function commands({ service, values }: ServiceContext): k8s.EnvVar[] {
  if (service.commands === undefined) return [];
  const { global } = values;
  const whereSo = (queue: string) => choose(overQueues(global), queueUrl(global, queue), '');
  return [
    { name: 'MERCATO_COMMAND_QUEUE', value: whereSo(commandsOf(service)) },
    { name: 'MERCATO_ANSWER_QUEUES', value: whereSo(answersOf(service)) },
  ];
}

/**
 * Where traces go (docs/concepts/tracing.md). The collector's credentials are the one secret in an environment: OpenTelemetry reads them nowhere else. They
 * come from a Secret, and where there is none, there is no variable.
 */
function tracing({ service, values }: ServiceContext): k8s.EnvVar[] {
  if (!traces(service)) return [];
  const { enabled, endpoint, sampleRatio, headersSecret } = values.global.tracing;
  const whereSo = (value: string) => choose(enabled, value, '');
  return [
    { name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: whereSo(endpoint) },
    { name: 'OTEL_TRACES_SAMPLER_ARG', value: whereSo(sampleRatio) },
    {
      name: 'OTEL_EXPORTER_OTLP_HEADERS',
      valueFrom: { secretKeyRef: { name: headersSecret, key: 'headers', optional: true } },
    },
  ];
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
  const whereMade = (call: Call, address: string) => choose(made(call, values), address, '');
  return service.calls.flatMap((call, i) => {
    const callee = callees[i];
    if (callee === undefined) return [];
    const { variable, door, path = '', token } = call;
    return [
      ...(variable === undefined
        ? []
        : [{ name: variable, value: whereMade(call, text(addressOf(callee, values.global, door), path)) }]),
      ...(token === undefined ? [] : [{ name: token.variable, value: callToken(callee) }]),
    ];
  });
}

const commaSeparated = (parts: readonly string[]): string =>
  text(...parts.flatMap((part, i) => (i === 0 ? [part] : [',', part])));
