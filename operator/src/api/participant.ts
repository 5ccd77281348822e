import type { Static } from '@sinclair/typebox';
import { conditions } from './conditions.ts';
import { defineKind, type Resource } from './kind.ts';
import {
  CAMEL_CASE,
  choice,
  integer,
  keyed,
  label,
  list,
  moment,
  object,
  observedGeneration,
  optional,
  text,
} from './schema.ts';

const URL_LENGTH = 512;
const url = (description: string) =>
  text({
    description,
    maxLength: URL_LENGTH,
    form: {
      pattern: '^https?://[^/?#@ ]+(/[^?#@ ]*)?$',
      message: 'give an http:// or https:// URL with a host, and without user, query or fragment',
    },
  });

const command = object(
  {
    name: label({ description: 'The command, as in POST .../saga/{command}. Compensations are commands too.' }),
    reasons: list(text({ description: 'A reason, as its problem+json says it.', maxLength: 64, form: CAMEL_CASE }), {
      description:
        'The business failures that it may answer with. Any other answer of that kind is unknown, and retried.',
      default: [],
      maxItems: 32,
    }),
  },
  { description: 'One command.' },
);

const spec = object(
  {
    service: optional(
      object(
        {
          name: label({ description: 'A Service in this namespace.' }),
          port: integer({ description: 'Its port.', default: 8080, minimum: 1, maximum: 65_535 }),
        },
        { description: 'A Service of the cluster. Exactly one of service, url and queue.' },
      ),
    ),
    url: optional(
      url(
        'Where it answers, for a local process or a service outside the cluster. Exactly one of service, url and queue.',
      ),
    ),
    queue: optional(
      object(
        {
          url: url('The SQS queue that takes commands.'),
          answersUrl: url(
            'The SQS queue that those of the answers are named after and encrypted like: each process of the operator makes one of its own, {name}-{id}.',
          ),
        },
        { description: 'The same contract over SQS. Exactly one of service, url and queue.' },
      ),
    ),
    basePath: optional(
      text({
        description: 'What stands before /saga/{command}.',
        maxLength: 128,
        form: {
          pattern: '^(/[A-Za-z0-9._~-]+)+$',
          message: 'a base path starts with a slash and does not end in one, as /internal/v1',
        },
      }),
    ),
    commands: keyed('name', command, {
      description: 'What it can do. A step that names another command is not accepted.',
      maxItems: 64,
    }),
    audience: text({
      description: 'The audience of the service-account token that every request carries; the participant checks it.',
      minLength: 1,
      maxLength: 128,
    }),
    limits: object(
      {
        maxInFlight: integer({
          description: 'At most so many requests at once, over all runs.',
          default: 64,
          minimum: 1,
          maximum: 10_000,
        }),
        requestsPerSecond: optional(
          integer({
            description:
              'At most so many commands a second, by each process of the operator; a batch counts as many as are in it. Commands wait for their turn for at most half of their time limit. Absent: as many as come.',
            minimum: 1,
            maximum: 1_000_000,
          }),
        ),
        burst: optional(
          integer({
            description: 'So many may come at once after a quiet time. Absent: those of one second.',
            minimum: 1,
            maximum: 1_000_000,
          }),
        ),
        maxAnswerBytes: integer({
          description: 'A longer answer is cut off and counts as unknown.',
          default: 65_536,
          minimum: 1024,
          maximum: 1_048_576,
        }),
      },
      {
        description: 'What it bears.',
        default: {},
        rules: [
          {
            rule: '!has(self.burst) || has(self.requestsPerSecond)',
            message: 'a burst is of a rate: say requestsPerSecond, or remove burst',
            fieldPath: '.burst',
          },
        ],
      },
    ),
    batch: optional(
      object(
        {
          maxItems: integer({
            description: 'At most so many commands in one request.',
            default: 100,
            minimum: 1,
            maximum: 100,
          }),
        },
        { description: 'It answers POST .../saga/batch. Absent: it does not.' },
      ),
    ),
  },
  {
    description: "Who carries out commands. The platform's to write: an OrderSaga only names it.",
    rules: [
      {
        rule: '[has(self.service), has(self.url), has(self.queue)].filter(x, x).size() == 1',
        message: 'say exactly one of service, url and queue',
      },
      {
        rule: '!has(self.queue) || !has(self.basePath)',
        message: 'a queue has no path: remove basePath',
        fieldPath: '.basePath',
      },
      {
        rule: '!has(self.queue) || !has(self.batch)',
        message: 'a queue takes messages one by one: remove batch',
        fieldPath: '.batch',
      },
    ],
  },
);

const status = object(
  {
    observedGeneration: optional(observedGeneration()),
    conditions: optional(conditions()),
    address: optional(text({ description: 'Where requests go.', maxLength: URL_LENGTH + 128 })),
    circuit: optional(
      object(
        {
          state: choice(['Closed', 'Open', 'HalfOpen'], {
            description: 'Open: it failed too often, and is left alone for a while.',
          }),
          until: optional(moment({ description: 'When an open circuit is tried again.' })),
        },
        { description: 'Whether it is called.' },
      ),
    ),
    lastError: optional(
      object(
        {
          reason: text({ description: 'In CamelCase, for machines.', maxLength: 64 }),
          message: text({ description: 'For people.', maxLength: 512 }),
          at: moment({ description: 'When.' }),
        },
        { description: 'What last went wrong.' },
      ),
    ),
  },
  { description: 'What the operator observed.' },
);

/** Participant: who carries out the commands of sagas' steps. */
export const participant = defineKind({
  kind: 'Participant',
  plural: 'participants',
  singular: 'participant',
  shortNames: ['ptc'],
  scope: 'Namespaced',
  description:
    'Participant is a service or queue that carries out commands of sagas: where it is, what it can do and what it bears.',
  spec,
  status,
  rules: [],
  columns: [
    { name: 'Address', type: 'string', jsonPath: '.status.address', description: 'Where requests go.' },
    {
      name: 'Resolved',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Resolved")].status',
      description: 'Whether it was found.',
    },
    {
      name: 'Available',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Available")].status',
      description: 'Whether it answers.',
    },
    { name: 'Circuit', type: 'string', jsonPath: '.status.circuit.state', description: 'Whether it is called.' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since it was created.' },
  ],
  selectableFields: [],
});

export type Participant = Resource<typeof participant>;
export type ParticipantSpec = Static<typeof spec>;
export type ParticipantStatus = Static<typeof status>;
export type ParticipantCommand = Static<typeof command>;
