import { type Static, Type } from '@sinclair/typebox';
import { ENVIRONMENTS } from '../model/types.ts';
import { boolean, choice, group, integer, label, list, optionalString, string, strings, verbatim } from './schema.ts';

const kubeDns = {
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
  podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
};

/** What all charts share: `global` in each one's values. */
export const globalSchema = group('What all charts share', {
  environment: choice('What this installation is for', ENVIRONMENTS, 'production'),
  image: group('Images', {
    registry: string('Where images come from, without a trailing slash', 'localhost', { pattern: '^[a-z0-9.:/_-]+$' }),
    tag: string('The version of all images', '0.1.0', { pattern: '^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$' }),
    pullPolicy: choice('When images are pulled', ['IfNotPresent', 'Always', 'Never'], 'IfNotPresent'),
    pullSecrets: list(
      'Secrets for the registry',
      Type.Object({ name: Type.String({ maxLength: 253 }) }, { additionalProperties: false }),
    ),
  }),
  namespaces: group('Where things live', {
    system: label('The operator, and the saga resources that are its own', 'mercato-system'),
    shop: label('The services, and the shop’s resources', 'mercato-shop'),
    card: label('Services that touch card data', 'mercato-card'),
    boundary: label('The controller of the PCI boundary', 'mercato-boundary'),
    simulators: label('Simulated companies', 'mercato-simulators'),
  }),
  cluster: group('The cluster', {
    name: label('The cluster’s name; on EKS as AWS knows it', 'mercato'),
    tokenIssuer: string(
      'Issuer of service-account tokens: kubectl get --raw /.well-known/openid-configuration',
      'https://kubernetes.default.svc.cluster.local',
      { pattern: '^https://' },
    ),
    jwksUrl: string('Where the issuer’s keys are', 'https://kubernetes.default.svc/openid/v1/jwks', {
      pattern: '^https://',
    }),
    dnsPeers: list(
      'NetworkPolicy peers of cluster DNS; on EKS Auto Mode an ipBlock, since its DNS is no pod',
      verbatim('A peer'),
      [kubeDns],
    ),
    apiServerPeers: list(
      'NetworkPolicy peers of the API server: its endpoints and its ClusterIP, as ipBlocks; empty: none, and pods that need it cannot start',
      verbatim('A peer'),
      [{ ipBlock: { cidr: '10.0.0.0/8' } }, { ipBlock: { cidr: '172.16.0.0/12' } }],
    ),
    apiServerPorts: list('Ports of the API server', Type.Integer({ minimum: 1, maximum: 65_535 }), [443, 6443]),
    zones: boolean('Whether nodes are in several zones: pods are then spread over them', true),
  }),
  autoscaler: choice('What scales: hpa on processor and memory, keda on queues as well', ['hpa', 'keda'], 'hpa'),
  monitoring: group('Prometheus and Grafana', {
    enabled: boolean('Whether the Prometheus operator’s kinds are there', false),
    namespace: label('Where Prometheus runs', 'monitoring'),
    podLabels: strings('Labels of Prometheus’ pods', { 'app.kubernetes.io/name': 'prometheus' }),
    runbooks: string('Where the runbooks are', 'https://example.com/mercato/docs/runbooks', { pattern: '^https?://' }),
  }),
  tracing: group('Traces, to a collector of OpenTelemetry in the cluster', {
    enabled: boolean('Whether there is a collector', false),
    endpoint: string('Where it takes OTLP over HTTP, without /v1/traces', 'http://otel-collector.monitoring.svc:4318', {
      pattern: '^https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._/-]*)?$',
    }),
    sampleRatio: string('The probability with which a trace is kept that begins here, from 0 to 1', '0.01', {
      pattern: '^(0([.][0-9]{1,6})?|1([.]0{1,6})?)$',
    }),
    headersSecret: label(
      'The Secret of each namespace with what the collector wants to know who sends, under the key headers (as authorization=Bearer%20...); none: nothing is said',
      'mercato-tracing',
    ),
    namespace: label('Where its pods run', 'monitoring'),
    podLabels: strings('Labels of its pods', { 'app.kubernetes.io/name': 'opentelemetry-collector' }),
    port: integer('The port of its pods, which its Service must have too', 4318, 1, 65_535),
  }),
  aws: group('AWS', {
    enabled: boolean('Whether AWS resources are declared too (ACK’s controllers must be there)', false),
    accountId: string('The account', '000000000000', { pattern: '^[0-9]{12}$' }),
    region: string('The region', 'eu-west-1', { pattern: '^[a-z]{2}(-[a-z]+)+-[0-9]$' }),
    identity: choice('How pods get AWS permissions', ['none', 'pod-identity', 'irsa'], 'none'),
    eventBus: boolean(
      'Whether events go over the event bus and its queues: orders to the operator (which then needs journal: dynamodb), what becomes of them to the order service, shipments to inventory. If not, straight, over HTTP',
      false,
    ),
    commandQueues: boolean(
      'Whether saga commands go over queues to services outside the card zone (the operator then needs journal: dynamodb). If not, straight, over HTTP',
      false,
    ),
    oidcProvider: optionalString(
      'For irsa: the issuer of the cluster’s tokens without https://, if it is not cluster.tokenIssuer',
    ),
  }),
});

/** Values that all charts share. */
export type GlobalValues = Static<typeof globalSchema>;
