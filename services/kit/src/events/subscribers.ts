import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { SNSClient } from '@aws-sdk/client-sns';
import type { CloudEvent } from '../outbox/outbox.ts';
import type { Subscriber } from '../outbox/source.ts';
import { EventBusSender } from './event-bus.ts';
import { type TopicAttributes, TopicSender } from './topic.ts';

/** No call of them can hang: each is given up within 10 s, its repeats included in what the relay does. */
const http = () => {
  const agent = { keepAlive: true, maxSockets: 32 };
  const timeouts = { connectionTimeout: 3000, requestTimeout: 10_000, throwOnRequestTimeout: true };
  return { requestHandler: { httpAgent: agent, httpsAgent: agent, ...timeouts } };
};

/**
 * An EventBridge bus as one who is told of events (of `types`, or all). Where AWS is, and as whom it is called, the SDK's own environment says.
 * @param bus its name or ARN
 */
export function busSubscriber(bus: string, types?: readonly string[]): Subscriber {
  const sender = new EventBusSender(new EventBridgeClient(http()), bus);
  return {
    url: `eventbridge:${bus}`,
    name: 'bus',
    ...(types === undefined ? {} : { types }),
    send: (events) => sender.send(events),
  };
}

/** An SNS topic as one who is told of events of `types`. */
export function topicSubscriber(
  arn: string,
  types: readonly string[],
  attributesOf: (event: CloudEvent) => TopicAttributes,
): Subscriber {
  const sender = new TopicSender(new SNSClient(http()), arn, attributesOf);
  return { url: arn, name: 'topic', types, send: (events) => sender.send(events) };
}
