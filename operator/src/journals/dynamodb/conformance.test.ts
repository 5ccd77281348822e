import { sharedDynamoDbLocal } from '@mercato/aws-emulators/testing.ts';
import { dynamoHarness } from '../../testing/dynamo-place.ts';
import { journalConformance } from '../conformance.ts';

journalConformance(dynamoHarness('dynamodb (DynamoDB Local)', async () => (await sharedDynamoDbLocal()).client));
