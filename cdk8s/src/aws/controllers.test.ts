import { expect } from 'chai';
import { controllerPolicy } from './controller-policy.ts';
import { CONTROLLERS } from './controllers.ts';
import { ackObjects, type PolicyDocument, parsed, richModel, specOf } from './testing.ts';

const PLACE = { account: '000000000000', region: 'eu-west-1', cluster: 'mercato', environment: 'production' } as const;

const policyOf = (controller: (typeof CONTROLLERS)[number]): PolicyDocument =>
  parsed(controllerPolicy(controller, PLACE));

/** Whether a policy names a resource; `*` stands for any letters, as in IAM. */
function covers({ Statement }: PolicyDocument, resource: string): boolean {
  const patterns = Statement.flatMap(({ Resource }) => [Resource ?? []].flat()).filter((each) => each !== '*');
  return patterns.some((pattern) => {
    const escaped = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${escaped.join('.*')}$`).test(resource);
  });
}

describe('what ACK’s controllers are allowed', () => {
  const objects = ackObjects(richModel, 'production');

  it('is said for every controller that the resources need', () => {
    const groups = new Set(objects.map(({ apiVersion }) => apiVersion.split('.')[0]));
    expect([...groups]).to.have.members([...CONTROLLERS]);
  });

  it('reaches everything that is declared', () => {
    const arn = (service: string, rest: string) => `arn:aws:${service}:eu-west-1:000000000000:${rest}`;
    for (const object of objects) {
      const { name, tableName, queueName } = specOf(object) as Record<string, string>;
      const expected: Readonly<Record<string, readonly [(typeof CONTROLLERS)[number], string]>> = {
        Alias: ['kms', arn('kms', name ?? '')],
        Archive: ['eventbridge', arn('events', `archive/${name}`)],
        EventBus: ['eventbridge', arn('events', `event-bus/${name}`)],
        Key: ['kms', arn('kms', 'key/1234abcd')],
        PodIdentityAssociation: ['eks', arn('eks', 'podidentityassociation/mercato/a-1')],
        Queue: ['sqs', arn('sqs', queueName ?? '')],
        Role: ['iam', `arn:aws:iam::000000000000:role/${name}`],
        Rule: ['eventbridge', arn('events', `rule/mercato-production/${name}`)],
        Table: ['dynamodb', arn('dynamodb', `table/${tableName}`)],
        Topic: ['sns', arn('sns', name ?? '')],
      };
      const [controller, resource] = expected[object.kind] as readonly [(typeof CONTROLLERS)[number], string];
      expect(covers(policyOf(controller), resource), resource).to.equal(true);
    }
  });

  it('reaches nothing of another environment', () => {
    const tagged = /"aws:(Request|Resource)Tag\/mercato:environment":"production"/;
    for (const controller of CONTROLLERS)
      for (const { Sid, Resource, Condition } of policyOf(controller).Statement) {
        const resources = [Resource ?? []].flat();
        const named = /mercato-production|:cluster\/mercato$|:podidentityassociation\/mercato\//;
        if (resources.every((resource) => named.test(resource))) continue;
        // Keys have no names: their tag says whose they are. Listing aliases shows names only.
        expect(controller).to.equal('kms');
        if (Sid !== 'List') expect(JSON.stringify(Condition)).to.match(tagged);
      }
  });

  it('deletes nothing that holds data', () => {
    const actions = CONTROLLERS.flatMap((controller) => policyOf(controller).Statement.flatMap(({ Action }) => Action));
    expect(actions.filter((action) => action.includes('*'))).to.be.empty;
    expect(actions.filter((action) => /Delete|Schedule|Purge/.test(action))).to.have.members([
      'kms:DeleteAlias',
      'kms:DeleteAlias',
      'events:DeleteRule',
      'iam:DeleteRole',
      'iam:DeleteRolePolicy',
      'eks:DeletePodIdentityAssociation',
    ]);
  });

  it('opens no key', () => {
    const actions = policyOf('kms').Statement.flatMap(({ Action }) => Action);
    expect(actions.filter((action) => /Decrypt|Encrypt|DataKey|CreateGrant/.test(action))).to.be.empty;
  });
});
