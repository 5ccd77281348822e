import type { GlobalValues } from '../charts/global.ts';
import type { Scope } from '../constructs/scope.ts';
import { expressionOf, hole, isHole } from '../holes/hole.ts';
import { choose, equals, isSet, not, text } from '../holes/index.ts';
import { usesAws, withoutCommandQueue } from '../model/derive.ts';
import type { Model, Service } from '../model/types.ts';
import type { AwsContext } from './index.ts';
import { accountArn, awsName, busArn, clusterArn, indexArn, queueArn, tableArn, topicArn } from './names.ts';
import { ack, labelsOf, ref, tagList } from './objects.ts';
import { type Permission, permissionsOf, type Resource } from './permissions.ts';
import { policy, type Statement, sid } from './policy.ts';
import { type Json, members, policyJson } from './policy-json.ts';
import { WAVES } from './waves.ts';

/** The role of a service's pods, and with Pod Identity what binds it to their service account, whose name is the service's. Nothing for a service without permissions. */
export function role(scope: Scope, { model, service, values: { global } }: AwsContext): void {
  if (!usesAws(service)) return;
  const { identity } = global.aws;
  const { name, zone } = service;
  const namespace = global.namespaces[zone];
  scope.when(not(equals(identity, 'none')), (inner) =>
    ack(inner, global, {
      kind: 'Role',
      name,
      namespace,
      wave: WAVES.access,
      adopt: { name: awsName(global, name) },
      labels: labelsOf(name),
      spec: {
        name: awsName(global, name),
        description: `What the pods of ${name} may do`,
        assumeRolePolicyDocument: choose(
          equals(identity, 'irsa'),
          policyJson(policy(irsaTrust(global, service))),
          policyJson(policy(podIdentityTrust(global, service))),
        ),
        inlinePolicies: { [name]: allowed(global, model, service) },
        maxSessionDuration: 3600,
        tags: tagList(global, name),
      },
    }),
  );
  scope.when(equals(identity, 'pod-identity'), (inner) =>
    ack(inner, global, {
      kind: 'PodIdentityAssociation',
      name,
      namespace,
      wave: WAVES.associations,
      labels: labelsOf(name),
      spec: {
        clusterName: global.cluster.name,
        namespace,
        serviceAccount: name,
        roleRef: ref(name),
      },
    }),
  );
}

/** Pod Identity tags each session with where the pod is; nothing else that asks EKS for this role gets it. */
const podIdentityTrust = (global: GlobalValues, { name, zone }: Service): Statement => ({
  Sid: 'PodsOfItsServiceAccount',
  Effect: 'Allow',
  Principal: { Service: 'pods.eks.amazonaws.com' },
  Action: ['sts:AssumeRole', 'sts:TagSession'],
  Condition: {
    StringEquals: {
      'aws:RequestTag/eks-cluster-arn': clusterArn(global),
      'aws:RequestTag/kubernetes-namespace': global.namespaces[zone],
      'aws:RequestTag/kubernetes-service-account': name,
    },
  },
});

/** With IRSA the cluster's tokens are the credentials: their subject and audience must be exactly these. */
function irsaTrust(global: GlobalValues, { name, zone }: Service): Statement {
  const provider = oidcProvider(global);
  return {
    Sid: 'TokensOfItsServiceAccount',
    Effect: 'Allow',
    Principal: { Federated: accountArn(global, 'iam', text('oidc-provider/', provider)) },
    Action: ['sts:AssumeRoleWithWebIdentity'],
    Condition: {
      StringEquals: members(
        [text(provider, ':aud'), 'sts.amazonaws.com'],
        [text(provider, ':sub'), text('system:serviceaccount:', global.namespaces[zone], ':', name)],
      ),
    },
  };
}

/** The issuer of the cluster's tokens, as IAM knows it: without its scheme. */
function oidcProvider({ aws, cluster }: GlobalValues): string {
  const { tokenIssuer } = cluster;
  const issuer = isHole(tokenIssuer)
    ? hole<string>(`trimPrefix "https://" (${expressionOf(tokenIssuer)})`, 'string')
    : tokenIssuer.replace(/^https:\/\//, '');
  return choose(isSet(aws.oidcProvider), aws.oidcProvider ?? '', issuer);
}

/** What a service's role allows. Nothing about queues of commands where these go over HTTP. */
function allowed(global: GlobalValues, model: Model, service: Service): string {
  const { commands, sendsCommands } = service;
  const all = policyJson(policy(...statementsOf(global, model, service)));
  if (commands === undefined && sendsCommands !== true) return all;
  const without = policyJson(policy(...statementsOf(global, model, withoutCommandQueue(service))));
  return choose(global.aws.commandQueues, all, without);
}

const statementsOf = (global: GlobalValues, model: Model, service: Service): Statement[] =>
  permissionsOf(model, service).map((permission) => statement(global, permission));

function statement(global: GlobalValues, { name, actions, resources, events }: Permission): Statement {
  return {
    Sid: sid(name),
    Effect: 'Allow',
    Action: actions,
    Resource: resources.map((resource) => arnOf(global, resource)),
    ...(events !== undefined && { Condition: onlyEvents(events) }),
  };
}

/** ForAllValues holds for no values at all, so their absence is ruled out beside it. */
const onlyEvents = ({ source, types }: NonNullable<Permission['events']>): Json => ({
  'ForAllValues:StringEquals': { 'events:source': [source], 'events:detail-type': types },
  Null: { 'events:source': 'false', 'events:detail-type': 'false' },
});

/** Something that a permission is about, as AWS calls it. */
export function arnOf(global: GlobalValues, resource: Resource): string {
  switch (resource.kind) {
    case 'table':
      return tableArn(global, resource.table);
    case 'index':
      return indexArn(global, resource.table, resource.index);
    case 'queue':
      return queueArn(global, resource.queue);
    case 'queues-after':
      return text(queueArn(global, resource.queue), '-*');
    case 'everything':
      return '*';
    case 'topic':
      return topicArn(global, resource.topic);
    case 'bus':
      return busArn(global);
  }
}
