import { CARD_DATA, CARD_TAINT, YES } from '../labels.ts';
import { type FindingRule, isForCards, named } from './rule.ts';
import type { Toleration } from './types.ts';

/** Card pods run beside card pods. */
export const podOffCardNodes: FindingRule = {
  name: 'pod-off-card-nodes',
  requirement: '2.2.3',
  severity: 'Violation',
  holds: 'Card pods run on card nodes only, so that whoever breaks out of another pod does not stand beside card data.',
  find: ({ cardPods, cardNodes }) =>
    cardNodes === undefined
      ? []
      : cardPods
          .filter(({ spec }) => spec?.nodeName !== undefined && !cardNodes.has(spec.nodeName))
          .map((pod) => ({
            object: named('Pod', pod),
            message: `it runs on ${pod.spec?.nodeName}, which is no card node: set nodeSelector ${CARD_DATA}=${YES} and tolerate the taint of that name`,
          })),
};

/** A card node keeps others off. */
export const nodeUntainted: FindingRule = {
  name: 'node-untainted',
  requirement: '2.2.3',
  severity: 'Violation',
  holds: `Every card node has the taint ${CARD_DATA}=${YES}:${CARD_TAINT.effect}: without it the scheduler puts anything there.`,
  find: ({ observed }) =>
    (observed.nodes ?? [])
      .filter((node) => isForCards(node) && !(node.spec?.taints ?? []).some(keepsOff))
      .map((node) => ({
        object: named('Node', node),
        message: `it is labelled for card data and takes any pod: taint it in its node pool, as ${CARD_DATA}=${YES}:${CARD_TAINT.effect}`,
      })),
};

/** Only agents of the node run beside card pods. */
export const strangerOnCardNode: FindingRule = {
  name: 'stranger-on-card-node',
  requirement: '2.2.3',
  severity: 'Violation',
  holds: 'On card nodes run card pods and the agents of the node, and nothing else.',
  find: ({ otherPods, cardNodes, hasNodeAgents }) =>
    otherPods
      .filter(
        ({ metadata, spec }) => cardNodes?.has(spec?.nodeName ?? '') === true && !hasNodeAgents(metadata.namespace),
      )
      .map((pod) => ({
        object: named('Pod', pod),
        message: `it runs on the card node ${pod.spec?.nodeName}: take the toleration or nodeName out of its workload, and delete it`,
      })),
};

/** Who tolerates the taint may be put there at the next restart. */
export const taintTolerated: FindingRule = {
  name: 'taint-tolerated',
  requirement: '2.2.3',
  severity: 'Warning',
  holds:
    'Outside card namespaces only agents of the node tolerate the card taint: others may be put on a card node at the next restart.',
  find: ({ otherPods, hasNodeAgents }) =>
    otherPods
      .filter(
        ({ metadata, spec }) => !hasNodeAgents(metadata.namespace) && (spec?.tolerations ?? []).some(fitsCardTaint),
      )
      .map((pod) => ({
        object: named('Pod', pod),
        message:
          'it tolerates the card taint: name the taints to tolerate instead of all; a node agent’s namespace is labelled mercato.dev/node-agents=true',
      })),
};

/**
 * Whether a toleration fits the card taint: an empty effect fits all, an empty key with Exists fits all, and the operator is Equal where none is said.
 * https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
 */
export function fitsCardTaint({ key = '', operator = 'Equal', value = '', effect = '' }: Toleration): boolean {
  return (
    (effect === '' || effect === CARD_TAINT.effect) &&
    (key === '' || key === CARD_TAINT.key) &&
    (operator === 'Exists' || (key !== '' && value === CARD_TAINT.value))
  );
}

function keepsOff({ key, value, effect }: { key: string; value?: string; effect: string }): boolean {
  return (
    key === CARD_TAINT.key && value === CARD_TAINT.value && (effect === CARD_TAINT.effect || effect === 'NoExecute')
  );
}
