import { type FindingRule, named } from './rule.ts';
import type { Container, ObservedPod } from './types.ts';

/** Nothing in a card namespace is part of its node. */
export const hostAccess: FindingRule = {
  name: 'host-access',
  requirement: '1.3.1, 1.3.2, 2.2.6',
  severity: 'Violation',
  holds: 'No card pod uses its node’s network, ports, processes or memory: no NetworkPolicy governs a node.',
  find: ({ cardPods }) =>
    cardPods.flatMap((pod) => {
      const used = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((field) => pod.spec?.[field] === true);
      const isListening = containersOf(pod).some(({ ports }) => ports?.some(({ hostPort }) => (hostPort ?? 0) > 0));
      const all = [...used, ...(isListening ? ['hostPort'] : [])];
      return all.length === 0
        ? []
        : [
            {
              object: named('Pod', pod),
              message: `it uses ${all.join(', ')}, and no policy governs a node: remove that from the template of its workload`,
            },
          ];
    }),
};

/** Some CNIs govern only pods that a controller made. */
export const podUnowned: FindingRule = {
  name: 'pod-unowned',
  requirement: '1.3.1, 1.3.2',
  severity: 'Violation',
  holds:
    'Every card pod belongs to a Deployment, StatefulSet or Job: the VPC CNI enforces no policy on a pod without an owner.',
  find: ({ cardPods }) =>
    cardPods
      .filter(({ metadata }) => (metadata.ownerReferences ?? []).length === 0)
      .map((pod) => ({
        object: named('Pod', pod),
        message:
          'the VPC CNI enforces no policy on a pod without an owner: delete it, and make a Deployment, StatefulSet or Job',
      })),
};

/** A debug container is a program that nobody reviewed beside card data in memory. */
export const ephemeralContainer: FindingRule = {
  name: 'ephemeral-container',
  requirement: '2.2.4, 6.5.1',
  severity: 'Violation',
  holds: 'No card pod has a debug container: a program that nobody reviewed, beside card data in memory.',
  find: ({ cardPods }) =>
    cardPods.flatMap((pod) =>
      (pod.spec?.ephemeralContainers ?? []).map(({ name }) => ({
        object: named('Pod', pod),
        message: `somebody attached the container ${name}: find out who in the audit log, and delete the pod, which is made anew without it`,
      })),
    ),
};

/** The default service account is everybody's: rights given to it are given to whatever starts next. */
export const defaultServiceAccount: FindingRule = {
  name: 'default-service-account',
  requirement: '7.2.5',
  severity: 'Violation',
  holds:
    'Every card pod has a service account of its own: what is given to `default` is given to whatever starts next.',
  find: ({ cardPods }) =>
    cardPods
      .filter(({ spec }) => (spec?.serviceAccountName ?? 'default') === 'default')
      .map((pod) => ({
        object: named('Pod', pod),
        message: 'it runs as the service account default: make one for its service, and name it in serviceAccountName',
      })),
};

/** Card services ask nothing of the Kubernetes API, so a token in the pod is only there to be stolen. */
export const tokenMounted: FindingRule = {
  name: 'token-mounted',
  requirement: '7.2.5, 2.2.6',
  severity: 'Warning',
  holds: 'No card pod has a token of the Kubernetes API mounted: card services ask nothing of it.',
  find: ({ cardPods, observed }) => {
    const accounts = new Map(
      (observed.serviceAccounts ?? []).map((account) => [
        `${account.metadata.namespace}/${account.metadata.name}`,
        account,
      ]),
    );
    // The pod decides; if it says nothing the account does; if that says nothing the token is mounted.
    const isMounted = ({ metadata, spec }: ObservedPod): boolean => {
      const own = spec?.automountServiceAccountToken;
      const account = accounts.get(`${metadata.namespace}/${spec?.serviceAccountName ?? 'default'}`);
      return own ?? (account !== undefined && account.automountServiceAccountToken !== false);
    };
    return cardPods.filter(isMounted).map((pod) => ({
      object: named('Pod', pod),
      message:
        'a token of the Kubernetes API is mounted, and nothing needs it: set automountServiceAccountToken: false',
    }));
  },
};

/** A tag can name another program tomorrow; a digest cannot. */
export const imageWithoutDigest: FindingRule = {
  name: 'image-without-digest',
  requirement: '6.5.1',
  severity: 'Warning',
  holds: 'Images of card pods are named by digest: a tag can be moved to another program without a change in Git.',
  find: ({ cardPods }) =>
    cardPods.flatMap((pod) =>
      containersOf(pod)
        .filter(({ image }) => image !== undefined && !/@sha256:[0-9a-f]{64}$/.test(image))
        .map(({ name, image }) => ({
          object: named('Pod', pod),
          message: `the image of ${name} is named by tag (${image}): add its digest, as @sha256:..., in the values of its chart`,
        })),
    ),
};

function containersOf({ spec }: ObservedPod): readonly Container[] {
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
}
