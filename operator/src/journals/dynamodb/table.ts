/**
 * The table of the dynamodb journal, as data: tests create it from this, and so does the deployment (cdk8s), whose `Table` has this shape. No import
 * of a client, so that a model can read it. Why it looks so: docs/adr/dynamodb-journal.md.
 */
export interface JournalTable {
  readonly name: string;
  readonly partitionKey: KeyAttribute;
  readonly sortKey: KeyAttribute;
  readonly indexes: readonly JournalIndex[];
  /** The attribute with the time, in seconds since 1970, after which an item goes. */
  readonly timeToLive: string;
  readonly why: string;
}

export interface KeyAttribute {
  readonly name: string;
  readonly type: 'S' | 'N';
}

export interface JournalIndex {
  readonly name: string;
  readonly partitionKey: KeyAttribute;
  readonly sortKey?: KeyAttribute;
  /** Keys only: a write that changes none of them costs the index nothing, and whoever reads it has to ask the item itself, which is never stale. */
  readonly projection: 'KEYS_ONLY';
}

/** Each index is sparse: only what has its partition key is in it. */
export const INDEX = { owner: 'OwnerIndex', end: 'EndIndex', attention: 'AttentionIndex', mail: 'MailIndex' } as const;

const text = (name: string): KeyAttribute => ({ name, type: 'S' });
const number = (name: string): KeyAttribute => ({ name, type: 'N' });

export const JOURNAL_TABLE: JournalTable = {
  name: 'saga-journal',
  partitionKey: text('pk'),
  sortKey: text('sk'),
  indexes: [
    // Open runs, by the life that drives them: what a dead one left.
    { name: INDEX.owner, partitionKey: text('ownerShard'), sortKey: text('standing'), projection: 'KEYS_ONLY' },
    // Ended runs, by the life that announces them: what a dead one may not have told.
    { name: INDEX.end, partitionKey: text('endShard'), sortKey: number('ticket'), projection: 'KEYS_ONLY' },
    // Open runs that need a person, the longest first.
    { name: INDEX.attention, partitionKey: text('attentionShard'), sortKey: number('since'), projection: 'KEYS_ONLY' },
    // Runs with mail, by the life that drove them when it was posted.
    { name: INDEX.mail, partitionKey: text('mailFor'), sortKey: number('mailAt'), projection: 'KEYS_ONLY' },
  ],
  timeToLive: 'expires',
  why: "the runs of sagas, and the workers' lives, with the dynamodb journal",
};

/** Parts of a life in the owner and end indexes: each part takes 1,000 changes a second, and a run makes two in each life. */
export const LIFE_SHARDS = 16;

/** Parts of the attention index: each takes 1,000 changes a second, and each is a question whenever a person looks. */
export const ATTENTION_SHARDS = 8;
