import {
  type AttributeDefinition,
  CreateTableCommand,
  DynamoDBClient,
  type KeySchemaElement,
} from '@aws-sdk/client-dynamodb';
import type { ClientOptions } from '../journals/dynamodb/calls.ts';
import { JOURNAL_TABLE, type KeyAttribute } from '../journals/dynamodb/table.ts';

/** Creates an empty table of the dynamodb journal in an emulator, from the declaration that the deployment uses. */
export async function createJournalTable(aws: NonNullable<ClientOptions['aws']>, name: string): Promise<void> {
  const { partitionKey, sortKey, indexes } = JOURNAL_TABLE;
  const attributes = [{ partitionKey, sortKey }, ...indexes]
    .flatMap((keys) => [keys.partitionKey, keys.sortKey ?? []])
    .flat();
  const client = new DynamoDBClient(aws);
  try {
    await client.send(
      new CreateTableCommand({
        TableName: name,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: attributes.map(
          ({ name, type }): AttributeDefinition => ({ AttributeName: name, AttributeType: type }),
        ),
        KeySchema: keySchema(partitionKey, sortKey),
        GlobalSecondaryIndexes: indexes.map((index) => ({
          IndexName: index.name,
          KeySchema: keySchema(index.partitionKey, index.sortKey),
          Projection: { ProjectionType: index.projection },
        })),
      }),
    );
  } finally {
    client.destroy();
  }
}

function keySchema(partitionKey: KeyAttribute, sortKey: KeyAttribute | undefined): KeySchemaElement[] {
  return [
    { AttributeName: partitionKey.name, KeyType: 'HASH' },
    ...(sortKey === undefined ? [] : [{ AttributeName: sortKey.name, KeyType: 'RANGE' as const }]),
  ];
}
