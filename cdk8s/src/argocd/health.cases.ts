/** What our health checks are to say: run by a Lua from npm in unit tests, and by Argo CD's own on a cluster. */

const NOW = '2026-11-22T12:00:00Z';

interface Said {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly observedGeneration?: number;
}

/** A condition as controllers write it: `Ready=False/NoAnswer: what happened`. */
export function said(text: string, observedGeneration = 2): Said {
  const [, type = '', status = '', reason = '', message = ''] =
    /^(\w[\w.]*)=(\w+)(?:\/(\w+))?(?:: (.*))?$/.exec(text) ?? [];
  return { type, status, reason, message, observedGeneration, lastTransitionTime: NOW } as Said;
}

/** An object of generation 2 whose status speaks of it. */
function seen(conditions: readonly string[], more: object = {}): object {
  const status = { observedGeneration: 2, conditions: conditions.map((text) => said(text)), ...more };
  return { metadata: { name: 'x', generation: 2 }, spec: {}, status };
}

/** An object, and what it is to be judged. */
export interface Case {
  readonly it: string;
  readonly object: object;
  readonly is: string;
  /** A part of the message. */
  readonly says?: string;
}

const good = ['Accepted=True/Accepted', 'Compliant=True/NoFindings', 'Enforced=True/Proven: 9 ways were as declared'];
const but = (...different: string[]) =>
  seen([...different, ...good.filter((text) => !different.some((d) => d.split('=')[0] === text.split('=')[0]))]);

const source = { repoURL: 'file:///r', path: 'charts/payment', targetRevision: 'c2' };
const operation = (phase: string, revision: string, message = '') => ({
  phase,
  message,
  operation: { sync: { revision } },
  syncResult: { revision },
});
const child = (status: object, more: object = {}) => ({
  metadata: { generation: 9 },
  spec: { source },
  status,
  ...more,
});
const at = (revision: string, sync: string, health: string, more: object = {}) =>
  child({
    sync: { status: sync, revision, comparedTo: { source: { ...source, targetRevision: revision } } },
    health: { status: health },
    ...more,
  });

/** Cases by the name of the script that judges them. */
export const CASES = {
  participant: [
    {
      it: 'is Healthy when it answers',
      object: seen(['Resolved=True/AddressKnown: commands go to http://payment', 'Available=True/Answers']),
      is: 'Healthy',
    },
    {
      it: 'is not Degraded by an outage, which would block the sync that mends it',
      object: seen(['Resolved=True/AddressKnown', 'Available=False/ConnectionRefused: nothing listens']),
      is: 'Healthy',
      says: 'does not answer now: ConnectionRefused: nothing listens',
    },
    {
      it: 'is Degraded when its spec gives no address',
      object: seen(['Resolved=False/NoAddress: give a service, a url or a queue', 'Available=True/Answers']),
      is: 'Degraded',
      says: 'give a service, a url or a queue',
    },
  ],
  ordersaga: [
    {
      it: 'is Healthy when runs may begin',
      object: seen(['Ready=True/Accepted', 'Paused=False/NotPaused']),
      is: 'Healthy',
    },
    {
      it: 'is Suspended while it is paused',
      object: seen(['Ready=True/Accepted', 'Paused=True/PauseAsked: until noon: stocktaking']),
      is: 'Suspended',
      says: 'until noon: stocktaking',
    },
    {
      it: 'is Degraded when its definition is wrong',
      object: seen(['Ready=False/Invalid: step b uses what no step gives', 'Paused=False/NotPaused']),
      is: 'Degraded',
      says: 'step b uses',
    },
    {
      it: 'is Progressing while a Participant is missing: it may come with a later wave',
      object: seen(['Ready=False/ParticipantNotFound: no Participant payment']),
      is: 'Progressing',
    },
    {
      it: 'is not Degraded by held runs, which wait for a person',
      object: seen(['Ready=True/Accepted'], { heldCount: 3, nextAction: '3 held runs wait for a decision' }),
      is: 'Healthy',
      says: '3 held runs',
    },
  ],
  ordersagarun: [
    {
      it: 'is Suspended while it is held',
      object: seen(['Held=True/StepFailed: capture-payment: no answer'], { phase: 'Held' }),
      is: 'Suspended',
      says: 'waits for a decision: StepFailed: capture-payment: no answer',
    },
    {
      it: 'is Suspended while it is paused',
      object: seen(['Paused=True/Paused'], { phase: 'Running' }),
      is: 'Suspended',
    },
    {
      it: 'is Progressing while it runs',
      object: seen(['Held=False/NotHeld'], { phase: 'Running' }),
      is: 'Progressing',
    },
    {
      it: 'is Healthy when everything was undone: that is what a saga is for',
      object: seen(['Succeeded=False/Declined: everything was undone'], { phase: 'Compensated' }),
      is: 'Healthy',
      says: 'everything was undone',
    },
    {
      it: 'is Healthy when it succeeded',
      object: seen(['Succeeded=True/Succeeded'], { phase: 'Succeeded' }),
      is: 'Healthy',
    },
    { it: 'is Degraded when a person ended it where it was', object: seen([], { phase: 'Aborted' }), is: 'Degraded' },
    {
      it: 'is Progressing while it cannot begin, although nobody has observed it',
      object: {
        metadata: { generation: 2 },
        status: { phase: 'Pending', conditions: [said('Accepted=False/SagaNotFound: no OrderSaga checkout')] },
      },
      is: 'Progressing',
      says: 'no OrderSaga checkout',
    },
  ],
  warehouseinventory: [
    {
      it: 'is Healthy when its stock is known',
      object: seen(['Ready=True/InventoryAnswers', 'StockLow=False/StockSufficient']),
      is: 'Healthy',
    },
    {
      it: 'is Healthy when stock is low, and says so',
      object: seen(['Ready=True/InventoryAnswers', 'StockLow=True/OutOfStock: tea']),
      is: 'Healthy',
      says: 'OutOfStock: tea',
    },
    {
      it: 'is not Degraded by an outage of inventory',
      object: seen(['Ready=Unknown/NoAnswer: it does not answer', 'StockLow=Unknown/NoAnswer']),
      is: 'Healthy',
      says: 'cannot be read now',
    },
    {
      it: 'is Progressing while its Participant is missing',
      object: seen(['Ready=False/ParticipantNotFound']),
      is: 'Progressing',
    },
    {
      it: 'is Degraded when something in it has to be put right',
      object: seen(['Ready=False/QueueNotSupported']),
      is: 'Degraded',
    },
  ],
  restockorder: [
    {
      it: 'is Suspended while it waits for approval',
      object: seen([], { phase: 'Proposed', nextAction: 'waits for approval' }),
      is: 'Suspended',
    },
    {
      it: 'is Progressing while it is being ordered',
      object: seen(['Blocked=False/NothingBlocks'], { phase: 'Approved' }),
      is: 'Progressing',
    },
    {
      it: 'is Suspended while the goods are on their way',
      object: seen([], { phase: 'InTransit' }),
      is: 'Suspended',
    },
    {
      it: 'is Suspended while something outside blocks it',
      object: seen(['Blocked=True/SupplierUnavailable: it does not answer'], { phase: 'Approved' }),
      is: 'Suspended',
      says: 'SupplierUnavailable',
    },
    {
      it: 'is Healthy when it is over',
      object: seen(['Received=True/Complete: 3 of 3'], { phase: 'Received' }),
      is: 'Healthy',
    },
  ],
  stockadjustment: [
    {
      it: 'is Healthy when it is booked',
      object: seen(['Applied=True/Booked: on hand 1 -> 2'], { phase: 'Applied' }),
      is: 'Healthy',
    },
    {
      it: 'is Degraded when inventory refused it',
      object: seen(['Applied=False/AdjustmentIdReused: booked before with another content'], { phase: 'Refused' }),
      is: 'Degraded',
      says: 'booked before',
    },
    {
      it: 'is Suspended while inventory does not answer',
      object: seen(['Applied=False/NoAnswer: it is down'], { phase: 'Pending' }),
      is: 'Suspended',
    },
  ],
  pciboundary: [
    { it: 'is Healthy when it is accepted, compliant and proven', object: seen(good), is: 'Healthy', says: '9 ways' },
    {
      it: 'is Degraded when its spec cannot be carried out',
      object: but('Accepted=False/Overlap: payment'),
      is: 'Degraded',
    },
    {
      it: 'is Degraded when something violates it',
      object: but('Compliant=False/Violations: 2 findings'),
      is: 'Degraded',
      says: '2 findings',
    },
    {
      it: 'is Degraded when the network enforces nothing',
      object: but('Enforced=False/WayOpen: metadata answers'),
      is: 'Degraded',
      says: 'metadata answers',
    },
    {
      it: 'stays Degraded after a change, until probes find that the network enforces',
      object: {
        metadata: { generation: 2 },
        status: {
          observedGeneration: 2,
          conditions: [...good.slice(0, 2).map((text) => said(text)), said('Enforced=False/WayOpen: all is open', 1)],
        },
      },
      is: 'Degraded',
      says: 'all is open',
    },
    {
      it: 'is Healthy but not proven after a change, until probes have ended',
      object: {
        metadata: { generation: 2 },
        status: {
          observedGeneration: 2,
          conditions: [...good.slice(0, 2).map((text) => said(text)), said('Enforced=True/Proven', 1)],
        },
      },
      is: 'Healthy',
      says: 'not proven: no probes have ended since the last change',
    },
    {
      it: 'is Healthy but not proven without probes',
      object: but('Enforced=Unknown/NotProbed: no namespaces'),
      is: 'Healthy',
      says: 'not proven',
    },
    { it: 'is Progressing until it was judged', object: but('Compliant=Unknown/NotJudged'), is: 'Progressing' },
  ],
  ack: [
    {
      it: 'is Progressing before its controller says anything',
      object: { metadata: { generation: 1 } },
      is: 'Progressing',
    },
    { it: 'is Healthy when AWS has it', object: seen(['ACK.ResourceSynced=True']), is: 'Healthy' },
    {
      it: 'is Degraded when AWS refuses it for good',
      object: seen(['ACK.ResourceSynced=False', 'ACK.Terminal=True/x: InvalidParameter']),
      is: 'Degraded',
      says: 'InvalidParameter',
    },
    {
      it: 'is Progressing while its controller tries again',
      object: seen(['ACK.ResourceSynced=False', 'ACK.Recoverable=True/x: throttled']),
      is: 'Progressing',
      says: 'throttled',
    },
  ],
  application: [
    {
      it: 'is Progressing when it is new',
      object: { metadata: { generation: 1 }, spec: { source } },
      is: 'Progressing',
    },
    {
      it: 'is Progressing while its status speaks of the commit before, healthy as that was',
      object: at('c1', 'Synced', 'Healthy', { operationState: operation('Succeeded', 'c1') }),
      is: 'Progressing',
      says: 'not compared',
    },
    {
      it: 'is Progressing before its sync begins, although that of the commit before failed',
      object: at('c2', 'OutOfSync', 'Degraded', { operationState: operation('Failed', 'c1') }),
      is: 'Progressing',
    },
    {
      it: 'is Progressing while it syncs and while it waits to try again',
      object: at('c2', 'OutOfSync', 'Healthy', { operationState: operation('Running', 'c2', 'Retrying attempt #1') }),
      is: 'Progressing',
      says: 'attempt #1',
    },
    {
      it: 'is Degraded when its sync failed for good',
      object: at('c2', 'OutOfSync', 'Healthy', {
        operationState: operation('Failed', 'c2', 'replicas: must be positive'),
      }),
      is: 'Degraded',
      says: 'must be positive',
    },
    {
      it: 'is Degraded when its chart cannot be rendered',
      object: at('c2', 'Unknown', 'Healthy', {
        conditions: [{ type: 'ComparisonError', message: 'helm template failed' }],
      }),
      is: 'Degraded',
      says: 'helm template failed',
    },
    {
      it: 'is Degraded when its project forbids it',
      object: child({ conditions: [{ type: 'InvalidSpecError', message: 'destination is not permitted' }] }),
      is: 'Degraded',
    },
    { it: 'is Progressing while pods start', object: at('c2', 'Synced', 'Progressing'), is: 'Progressing' },
    { it: 'is Degraded when what it made is', object: at('c2', 'Synced', 'Degraded'), is: 'Degraded' },
    {
      it: 'is Healthy when something in it is paused: Argo CD would wait for the end of the pause',
      object: at('c2', 'Synced', 'Suspended'),
      is: 'Healthy',
      says: 'paused',
    },
    { it: 'is Healthy when its commit is there and works', object: at('c2', 'Synced', 'Healthy'), is: 'Healthy' },
  ],
} satisfies Readonly<Record<string, readonly Case[]>>;
