import { sharedDynamoDbLocal } from '@mercato/aws-emulators/testing.ts';
import { type Calls, type Connection, connect } from '@mercato/operator/journals/dynamodb/calls.ts';
import { type Item, N, S } from '@mercato/operator/journals/dynamodb/keys.ts';
import { Store } from '@mercato/operator/journals/dynamodb/store.ts';
import { INDEX, JOURNAL_TABLE } from '@mercato/operator/journals/dynamodb/table.ts';
import { createJournalTable } from '@mercato/operator/testing/journal-table.ts';
import { expect } from 'chai';
import { Random } from '../random.ts';
import { SimulatedTable } from './table.ts';

const TABLE = 'simulated';
const CALLS = 400;

/** What a call answers, as far as the journal looks at it. */
async function outcome(call: Promise<unknown>): Promise<unknown> {
  try {
    return tidied(await call);
  } catch (error) {
    const {
      name,
      Item: item,
      CancellationReasons: reasons,
    } = error as {
      name: string;
      Item?: Item;
      CancellationReasons?: { Code?: string; Item?: Item }[];
    };
    return {
      error: name,
      ...(item && { item }),
      ...(reasons && { reasons: reasons.map(({ Code, Item: found }) => ({ Code, ...(found && { found }) })) }),
    };
  }
}

function tidied(answer: unknown): unknown {
  const { $metadata: _, ConsumedCapacity: _c, ScannedCount: _s, ...rest } = answer as Record<string, unknown>;
  const { Responses } = answer as Calls['BatchGetItem']['output'];
  // A batch comes in any order.
  if (Responses?.[TABLE] !== undefined)
    rest['Responses'] = Responses[TABLE].map((item) => JSON.stringify(sorted(item))).sort();
  return JSON.parse(JSON.stringify(rest)) as unknown;
}

const sorted = (item: Item): Item => Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)));

describe('The simulated table', function () {
  this.timeout(120_000);
  let local: Connection;
  let random: Random;
  let simulated: SimulatedTable;
  let changes: number;

  before(async () => {
    const aws = (await sharedDynamoDbLocal()).client;
    local = connect({ aws, timeout: 30_000 });
    await createJournalTable(aws, TABLE).catch((error: unknown) => {
      if ((error as Error).name !== 'ResourceInUseException') throw error;
    });
  });
  after(() => local.close());
  beforeEach(() => {
    changes = 0;
    random = new Random('table');
    simulated = new SimulatedTable({
      declaration: JOURNAL_TABLE,
      now: () => 0,
      lag: () => 0,
      changed: () => {
        changes += 1;
      },
    });
  });

  /** Makes the same call of both. */
  async function both<Name extends keyof Calls>(name: Name, input: Calls[Name]['input']): Promise<void> {
    const [ours, theirs] = await Promise.all([
      outcome(Promise.resolve().then(() => simulated.carryOut(name, input))),
      outcome(local.send(name, input)),
    ]);
    expect(ours, `${name} ${JSON.stringify(input)}`).to.deep.equal(theirs);
  }

  it('answers as DynamoDB Local does, whatever the journal’s store asks', async () => {
    const calls: { name: keyof Calls; input: Calls[keyof Calls]['input'] }[] = [];
    const store = new Store(async (name, input) => {
      calls.push({ name, input });
      return simulated.carryOut(name, input);
    }, TABLE);
    const pick = <T>(...all: readonly T[]): T => random.pick(all);
    const key = (): Item => ({ pk: S(`t#${random.int(1, 3)}`), sk: S(pick('a', 'b')) });
    const version = (): Item => ({ ':was': N(random.int(1, 4)) });
    const life = (): Item[string] => S(`life#${random.int(1, 2)}`);
    const asked: readonly (() => Promise<unknown>)[] = [
      () =>
        store.put(
          { ...key(), version: N(1), owner: life(), ownerShard: life(), standing: S('active') },
          'attribute_not_exists(#pk)',
        ),
      () =>
        store.put({ ...key(), version: N(1) }, 'attribute_not_exists(#pk) OR #expires <= :now', {
          ':now': N(random.int(1, 9)),
        }),
      () =>
        store.update(key(), {
          update:
            'SET #state = :state, #version = :next, #ownerShard = :shard, #standing = :standing REMOVE #since, #attentionShard',
          when: '#version = :was AND #owner = :me',
          values: {
            ...version(),
            ':state': S('x'),
            ':next': N(random.int(1, 4)),
            ':shard': life(),
            ':standing': S(pick('held', 'active')),
            ':me': life(),
          },
        }),
      () =>
        store.update(key(), {
          update: 'SET #attentionShard = :a, #since = :s',
          when: 'attribute_exists(#owner)',
          values: { ':a': S('attention#1'), ':s': N(random.int(1, 99)) },
        }),
      () =>
        store.update(key(), {
          update: 'SET #owner = :me, #version = #version + :one',
          when: '#owner = :from',
          values: { ':me': life(), ':one': N(1), ':from': life() },
          answer: true,
        }),
      () =>
        store.update(key(), {
          update: 'SET #cancel = :l, #mailFor = #owner, #mailAt = if_not_exists(#mailAt, :at)',
          when: 'attribute_exists(#owner)',
          values: { ':l': S('{"id":"abc"}'), ':at': N(random.int(1, 9)) },
        }),
      () =>
        store.update(key(), {
          update: 'REMOVE #cancel',
          when: 'contains(#cancel, :l)',
          values: { ':l': S(pick('abc', 'def')) },
          answer: true,
        }),
      () =>
        store.update(key(), {
          update: 'REMOVE #mailFor, #mailAt',
          when: 'attribute_not_exists(#cancel) AND attribute_not_exists(#decision)',
          values: {},
        }),
      () =>
        store.update(key(), {
          update: 'SET #expires = :e REMOVE #owner, #ownerShard, #standing',
          when: 'attribute_exists(#pk)',
          values: { ':e': N(random.int(1, 9)) },
        }),
      () => store.delete(key(), '#standing <> :alive', { ':alive': S(pick('held', 'active')) }),
      () => store.get(key()),
      () => store.getAll(['a', 'b'].map((sk) => ({ pk: S('t#1'), sk: S(sk) }))),
      () => store.query({ of: ['pk', `t#${random.int(1, 3)}`], ...pick({}, { limit: 1 }, { consistent: true }) }),
      () =>
        store.updateWith(
          key(),
          { update: 'SET #version = #version + :one', when: '#version = :was', values: { ...version(), ':one': N(1) } },
          [
            {
              key: { pk: S('t#9'), sk: S(pick('e1', 'e2')) },
              attributes: { entry: S(pick('x', 'y')), at: N(random.int(1, 9)) },
            },
            { key: { pk: S('t#9'), sk: S('e3') }, attributes: { entry: S('z'), at: N(random.int(1, 9)) } },
          ],
        ),
    ];
    for (let call = 0; call < CALLS; call++) await random.pick(asked)();
    expect(changes, 'calls that changed something').to.be.greaterThan(CALLS / 10);
    // The same again, on both.
    simulated = new SimulatedTable({
      declaration: JOURNAL_TABLE,
      now: () => 0,
      lag: () => 0,
      changed: () => undefined,
    });
    for (const { name, input } of calls) await both(name, input);
  });

  it('shows in its indexes what DynamoDB Local does: whole pages, and the next', async () => {
    for (let n = 0; n < 12; n++) {
      const since = n % 5;
      await both('PutItem', {
        TableName: TABLE,
        Item: {
          pk: S(`i#${n}`),
          sk: S('run'),
          ...(n < 9 ? { attentionShard: S('shard'), since: N(since * 100 + n) } : { since: N(n) }),
        },
      });
    }
    const query = (more: Partial<Calls['Query']['input']> = {}): Calls['Query']['input'] => ({
      TableName: TABLE,
      IndexName: INDEX.attention,
      KeyConditionExpression: '#key = :key',
      ExpressionAttributeNames: { '#key': 'attentionShard' },
      ExpressionAttributeValues: { ':key': S('shard') },
      ...more,
    });
    await both('Query', query());
    await both('Query', query({ Select: 'COUNT' }));
    const from = query({
      KeyConditionExpression: '#key = :key AND #sort >= :from',
      ExpressionAttributeNames: { '#key': 'attentionShard', '#sort': 'since' },
      ExpressionAttributeValues: { ':key': S('shard'), ':from': N(200) },
    });
    await both('Query', from);
    for (const Limit of [1, 4, 9, 20]) {
      const { LastEvaluatedKey: next } = simulated.carryOut('Query', query({ Limit }));
      await both('Query', query({ Limit }));
      if (next !== undefined) await both('Query', query({ Limit, ExclusiveStartKey: next }));
    }
  });

  it('refuses what DynamoDB Local refuses', async () => {
    const Key = { pk: S('r#1'), sk: S('run') };
    const Item = { ...Key, version: N(1) };
    await both('PutItem', { TableName: TABLE, Item });
    await both('PutItem', { TableName: TABLE, Item: { pk: S('r#1') } });
    await both('PutItem', { TableName: TABLE, Item: { ...Item, since: S('text'), attentionShard: S('a') } });
    await both('PutItem', { TableName: TABLE, Item: { ...Item, ownerShard: S('') } });
    const update = (UpdateExpression: string, names: object, values?: object): Calls['UpdateItem']['input'] => ({
      TableName: TABLE,
      Key,
      UpdateExpression,
      ExpressionAttributeNames: { ...names },
      ...(values && { ExpressionAttributeValues: { ...values } }),
    });
    await both('UpdateItem', update('SET #a = #b', { '#a': 'a', '#b': 'b' }));
    await both('UpdateItem', update('SET #a = :a', { '#a': 'a' }, { ':a': N(1), ':spare': N(2) }));
    await both('UpdateItem', update('SET #a = :a', { '#a': 'a', '#spare': 's' }, { ':a': N(1) }));
    await both('UpdateItem', update('SET #a = :a', { '#a': 'a' }, { ':b': N(1) }));
    await both('UpdateItem', update('SET #a = :a REMOVE #a', { '#a': 'a' }, { ':a': N(1) }));
    const Update = { ...update('SET #a = :a', { '#a': 'a' }, { ':a': N(1) }) } as {
      TableName: string;
      Key: Record<string, Item[string]>;
      UpdateExpression: string;
    };
    await both('TransactWriteItems', { TransactItems: [{ Update }, { Update }] });
    await both('BatchGetItem', { RequestItems: { [TABLE]: { Keys: [Key, Key] } } });
    await both('GetItem', { TableName: TABLE, Key });
  });

  it('has what is changed in its indexes later, each item’s changes in their order', () => {
    let now = 0;
    let lag = 500;
    const late = new SimulatedTable({
      declaration: JOURNAL_TABLE,
      now: () => now,
      lag: () => lag,
      changed: () => undefined,
    });
    const seen = (shard: string): number | undefined =>
      late.carryOut('Query', {
        TableName: TABLE,
        IndexName: INDEX.owner,
        KeyConditionExpression: '#key = :key',
        ExpressionAttributeNames: { '#key': 'ownerShard' },
        ExpressionAttributeValues: { ':key': S(shard) },
      }).Count;
    const put = (shard: string): unknown =>
      late.carryOut('PutItem', {
        TableName: TABLE,
        Item: { pk: S('a'), sk: S('run'), ownerShard: S(shard), standing: S('active') },
      });
    put('one');
    lag = 10;
    put('two');
    expect([seen('one'), seen('two')]).to.deep.equal([0, 0]);
    now = 499;
    expect([seen('one'), seen('two')], 'the second is not before the first').to.deep.equal([0, 0]);
    now = 500;
    expect([seen('one'), seen('two')]).to.deep.equal([0, 1]);
  });
});
