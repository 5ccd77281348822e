import { sharedDynamoDbLocal } from '@mercato/aws-emulators/testing.ts';
import { dynamoHarness } from '../../testing/dynamo-place.ts';
import { journalConformance, workerJournalConformance } from '../conformance.ts';

const harness = dynamoHarness('dynamodb (DynamoDB Local)', async () => (await sharedDynamoDbLocal()).client);
journalConformance(harness);
workerJournalConformance(harness);
