import { Type } from '@sinclair/typebox';

/** Blocks of addresses that instance metadata is in, and what must then be left out of them. */
const METADATA = [
  // 169.254.169.254 is in what begins with 169, and in blocks of less than eight bits.
  { in: '^169[.]|^[0-9.]+/[0-7]$', except: ['169.254.0.0/16', '169.254.169.254/32'] },
  // fd00:ec2::254 is in what begins with fd00:ec2, and in blocks of less than 32 bits.
  {
    in: '^[fF][dD]00:0?[eE][cC]2:|^[0-9a-fA-F:]*:[0-9a-fA-F:]*/([0-9]|[12][0-9]|3[01])$',
    except: ['fd00:ec2::/32', 'fd00:ec2::254/128'],
  },
];

/**
 * A NetworkPolicy peer outside of the cluster, taken as it is, but never with instance metadata in it: whoever reaches that has the node's credentials.
 * A wide block, as 0.0.0.0/0, must leave it out by `except`.
 */
export const outsidePeer = (description: string) =>
  Type.Unsafe<Record<string, unknown>>(
    Type.Object(
      {},
      {
        description,
        additionalProperties: true,
        allOf: METADATA.map(({ in: pattern, except }) => ({
          if: {
            required: ['ipBlock'],
            properties: {
              ipBlock: { type: 'object', required: ['cidr'], properties: { cidr: { type: 'string', pattern } } },
            },
          },
          // biome-ignore lint/suspicious/noThenProperty: JSON Schema's word
          then: {
            properties: {
              ipBlock: {
                required: ['except'],
                properties: { except: { type: 'array', contains: { enum: except } } },
              },
            },
          },
        })),
      },
    ),
  );
