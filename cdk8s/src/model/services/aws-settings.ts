import type { Setting } from '../types.ts';

/** Where a service's events go, where they go over a bus. */
export const eventBus: Setting = {
  name: 'eventBus',
  variable: 'MERCATO_EVENT_BUS',
  type: 'string',
  default: '',
  declared: { kind: 'bus' },
  limits: { pattern: '^((arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/)?[A-Za-z0-9_./-]{1,256})?$' },
  description: 'Another EventBridge bus for its events than the one that is declared, by name or ARN',
};

/**
 * Where a service hears what others tell.
 * @param queue one of its queues
 * @param what comes there, as `what shipping tells`
 */
export const eventQueue = (queue: string, what: string): Setting => ({
  name: 'eventQueue',
  variable: 'MERCATO_EVENT_QUEUE',
  type: 'string',
  default: '',
  declared: { kind: 'queue', queue },
  limits: { pattern: '^(https?://[a-z0-9.-]+/[A-Za-z0-9/._-]+)?$' },
  description: `URL of another SQS queue for ${what} than the one that is declared`,
});
