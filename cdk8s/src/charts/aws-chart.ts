import { awsPlatform } from '../aws/platform.ts';
import type { Model } from '../model/types.ts';
import { defineChart } from './chart.ts';
import { globalSchema } from './global.ts';
import { boolean, group, integer, optionalString, string } from './schema.ts';

const keyId = (what: string) =>
  optionalString(`The key of ${what}, if it is there already`, { pattern: '^(mrk-)?[0-9a-f-]{32,36}$' });

const roleName = (whose: string, fallback: string) =>
  string(`Name, with its path, of the IAM role ${whose}`, fallback, { pattern: '^[A-Za-z0-9_+=,.@/-]{1,512}$' });

/** The chart for what all services share in AWS. A release of its own, before the services'. */
export const awsChart = (model: Model) =>
  defineChart({
    name: 'mercato-aws',
    description: 'Keys, event bus and archive that the services share in AWS, as resources of ACK',
    values: group('Values of mercato-aws', {
      global: globalSchema,
      enabled: boolean('Whether the umbrella chart installs it', true),
      archiveDays: integer('How long events can be replayed, in days', 30, 1, 3650),
      dynamodbControllerRole: roleName(
        'of ACK’s controller for DynamoDB, which hands the keys of tables to DynamoDB',
        'ack-dynamodb-controller',
      ),
      redriveRoles: group('Names of the IAM roles as which people move dead letters back to their queue', {
        events: roleName('for dead letters of the shop', 'mercato-redrive'),
        card: roleName('for dead letters of services that touch card data', 'mercato-redrive-card'),
      }),
      keyIds: group('Keys that a former installation left, whose data this one takes over', {
        shop: keyId('the shop’s tables'),
        card: keyId('card data'),
        events: keyId('queues and topics'),
      }),
    }),
    render(scope, values) {
      awsPlatform(scope, { model, values });
    },
  });
