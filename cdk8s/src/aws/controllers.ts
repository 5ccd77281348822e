import type { GlobalValues } from '../charts/global.ts';
import { accountArn, awsName, busArn, clusterArn, regionArn } from './names.ts';
import { type Statement, sid } from './policy.ts';

/** ACK's controllers that the charts need, by the service that each is for. */
export const CONTROLLERS = ['kms', 'dynamodb', 'sqs', 'sns', 'eventbridge', 'iam', 'eks'] as const;
export type Controller = (typeof CONTROLLERS)[number];

/** The tag that is on everything of an environment. */
export const ENVIRONMENT_TAG = 'mercato:environment';

/**
 * What an ACK controller has to be allowed, for one environment: what it makes, changes and reads again, below the environment's names. Nothing that deletes data:
 * what holds data is kept (objects.ts), so its controller never has to.
 */
export function controllerStatements(controller: Controller, global: GlobalValues): Statement[] {
  return STATEMENTS[controller](global).map(([name, actions, resources, condition]) => ({
    Sid: sid(name),
    Effect: 'Allow',
    Action: actions.map((action) => (action.includes(':') ? action : `${PREFIXES[controller]}:${action}`)),
    Resource: resources,
    ...(condition !== undefined && { Condition: condition }),
  }));
}

type Row = readonly [
  name: string,
  actions: readonly string[],
  resources: readonly string[],
  condition?: Readonly<Record<string, Readonly<Record<string, string>>>>,
];

const PREFIXES: Readonly<Record<Controller, string>> = {
  kms: 'kms',
  dynamodb: 'dynamodb',
  sqs: 'sqs',
  sns: 'sns',
  eventbridge: 'events',
  iam: 'iam',
  eks: 'eks',
};

/** Everything of an environment that has a name of ours. */
const ours = (global: GlobalValues): string => awsName(global, '*');

const STATEMENTS: Readonly<Record<Controller, (global: GlobalValues) => readonly Row[]>> = {
  kms: (global) => {
    const keys = regionArn(global, 'kms', 'key/*');
    const tagged = { StringEquals: { [`aws:ResourceTag/${ENVIRONMENT_TAG}`]: global.environment } };
    return [
      // A key has no name before it is there: what it is for says its tag.
      [
        'create',
        ['CreateKey', 'TagResource'],
        ['*'],
        { StringEquals: { [`aws:RequestTag/${ENVIRONMENT_TAG}`]: global.environment } },
      ],
      [
        'change',
        [
          'DescribeKey',
          'DisableKeyRotation',
          'EnableKeyRotation',
          'GetKeyPolicy',
          'GetKeyRotationStatus',
          'ListResourceTags',
          'PutKeyPolicy',
          'TagResource',
          'UntagResource',
        ],
        [keys],
        tagged,
      ],
      ['alias-of-key', ['CreateAlias', 'DeleteAlias', 'UpdateAlias'], [keys], tagged],
      ['alias', ['CreateAlias', 'DeleteAlias', 'UpdateAlias'], [regionArn(global, 'kms', `alias/${ours(global)}`)]],
      ['list', ['ListAliases'], ['*']],
    ];
  },
  dynamodb: (global) => [
    [
      'tables',
      [
        'CreateTable',
        'DescribeContinuousBackups',
        'DescribeContributorInsights',
        'DescribeTable',
        'DescribeTimeToLive',
        'GetResourcePolicy',
        'ListTagsOfResource',
        'TagResource',
        'UntagResource',
        'UpdateContinuousBackups',
        'UpdateTable',
        'UpdateTimeToLive',
      ],
      [regionArn(global, 'dynamodb', `table/${ours(global)}`)],
    ],
  ],
  sqs: (global) => [
    [
      'queues',
      [
        'CreateQueue',
        'GetQueueAttributes',
        'GetQueueUrl',
        'ListQueueTags',
        'SetQueueAttributes',
        'TagQueue',
        'UntagQueue',
      ],
      [regionArn(global, 'sqs', ours(global))],
    ],
  ],
  sns: (global) => [
    [
      'topics',
      [
        'CreateTopic',
        'GetDataProtectionPolicy',
        'GetTopicAttributes',
        'ListTagsForResource',
        'SetTopicAttributes',
        'TagResource',
        'UntagResource',
      ],
      [regionArn(global, 'sns', ours(global))],
    ],
  ],
  eventbridge: (global) => {
    const tags = ['ListTagsForResource', 'TagResource', 'UntagResource'];
    const name = busArn(global).split('/').at(-1);
    return [
      ['bus', ['CreateEventBus', 'DescribeEventBus', 'UpdateEventBus', ...tags], [busArn(global)]],
      [
        'rules',
        ['DeleteRule', 'DescribeRule', 'ListTargetsByRule', 'PutRule', 'PutTargets', 'RemoveTargets', ...tags],
        [regionArn(global, 'events', `rule/${name}/${ours(global)}`)],
      ],
      [
        'archive',
        ['CreateArchive', 'DescribeArchive', 'UpdateArchive'],
        [busArn(global), regionArn(global, 'events', `archive/${name}`)],
      ],
    ];
  },
  iam: (global) => [
    [
      'roles',
      [
        'CreateRole',
        'DeleteRole',
        'DeleteRolePolicy',
        'GetRole',
        'GetRolePolicy',
        'ListAttachedRolePolicies',
        'ListRolePolicies',
        'ListRoleTags',
        'PutRolePolicy',
        'TagRole',
        'UntagRole',
        'UpdateAssumeRolePolicy',
        'UpdateRole',
      ],
      [accountArn(global, 'iam', `role/${ours(global)}`)],
    ],
  ],
  eks: (global) => [
    ['cluster', ['CreatePodIdentityAssociation', 'ListPodIdentityAssociations'], [clusterArn(global)]],
    [
      'associations',
      [
        'DeletePodIdentityAssociation',
        'DescribePodIdentityAssociation',
        'ListTagsForResource',
        'TagResource',
        'UntagResource',
        'UpdatePodIdentityAssociation',
      ],
      [regionArn(global, 'eks', `podidentityassociation/${global.cluster.name}/*`)],
    ],
    ['pass-roles', ['iam:GetRole', 'iam:PassRole'], [accountArn(global, 'iam', `role/${ours(global)}`)]],
  ],
};
