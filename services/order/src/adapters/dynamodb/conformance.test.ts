import { sharedDynamoDbLocal } from '@mercato/aws-emulators/testing.ts';
import { describeOrders, subscribersUnderTest } from '../../orders-conformance.ts';
import { DynamoPlace } from '../../testing/dynamo.ts';

describe('DynamoDB Local', function () {
  // The emulator alone may take a minute to start.
  this.timeout(120_000);
  before(async () => void (await sharedDynamoDbLocal()));
  let place: DynamoPlace;
  const opened = () => {
    const { orders } = place.replica(subscribersUnderTest);
    return { orders, outbox: orders.outbox };
  };

  describeOrders('DynamoDB', {
    async open() {
      place = await DynamoPlace.create((await sharedDynamoDbLocal()).client);
      return opened();
    },
    reopen: async () => opened(),
    discard: async () => place.close(),
    forget: (forgetting) => place.expire(forgetting),
  });
});
