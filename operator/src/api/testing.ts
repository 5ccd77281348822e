import type { ControlPlane } from '@mercato/controlplane';
import { type ApiClient, type ApiResponse, apiClient } from '@mercato/controlplane/request.ts';
import { kinds } from './index.ts';
import { API_VERSION, crdName, crdOf, type KindDefinition } from './kind.ts';
import { policies } from './policies.ts';
import { type PolicyRule, type Right, rightsOf } from './rbac.ts';
import { roles } from './roles.ts';

/** What tests need to speak to a real API server about our kinds. */

/** An object as a test writes it: without what the API server fills in, and wrong where the test wants it wrong. */
export interface Draft {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: unknown;
}

/** How long a control plane may take to put something into force. */
const PATIENCE_MS = 60_000;

const installed = new WeakMap<ControlPlane, Promise<void>>();

/** Puts the CRDs, the policies and the roles into a control plane, and returns when they are in force. Once for each control plane. */
export function installApi(plane: ControlPlane): Promise<void> {
  const known = installed.get(plane);
  if (known !== undefined) return known;
  const begun = install(plane);
  installed.set(plane, begun);
  return begun;
}

async function install(plane: ControlPlane): Promise<void> {
  const paths: Record<string, string> = {
    CustomResourceDefinition: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
    ValidatingAdmissionPolicy: '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies',
    ValidatingAdmissionPolicyBinding: '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings',
    ClusterRole: '/apis/rbac.authorization.k8s.io/v1/clusterroles',
  };
  for (const document of [...kinds.map(crdOf), ...policies(), ...roles()] as Draft[]) {
    await applied(plane, `${paths[document.kind]}/${document.metadata.name}`, document);
  }
  for (const kind of kinds) {
    await until(`${kind.kind} is established`, async () =>
      established(await read(plane, `${paths['CustomResourceDefinition']}/${crdName(kind)}`)),
    );
    await until(
      `${kind.kind} is served`,
      async () => (await plane.request(`/apis/${API_VERSION}/${kind.plural}`)).status === 200,
    );
  }
  await policiesInForce(plane);
}

/** Policies come into force some time after they were stored: when they refuse what they should. */
async function policiesInForce(plane: ControlPlane): Promise<void> {
  const user = 'policy-probe';
  await grant(plane, 'default', user, 'mercato-edit');
  const client = await as(plane, user);
  const by = 'somebody-else';
  const forged = [
    runDraft(user, { decision: { holdId: 'h', do: 'Abort', reason: 'probe', by } }),
    draft('RestockOrder', user, restockSpec({ approval: { decision: 'Approve', by } })),
  ];
  for (const object of forged) {
    await until(`the policy on ${object.kind} is in force`, async () => {
      const answer = await create(client, 'default', object, { dryRun: true });
      return answer.status >= 400 && messageOf(answer).includes('by must be');
    });
  }
}

async function applied(plane: ControlPlane, path: string, body: unknown): Promise<void> {
  const answer = await plane.request(`${path}?fieldManager=mercato-test&force=true`, {
    method: 'PATCH',
    contentType: 'application/apply-patch+yaml',
    body,
  });
  if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${messageOf(answer)}`);
}

async function read(plane: ControlPlane, path: string): Promise<unknown> {
  return (await plane.request(path)).body;
}

function established(crd: unknown): boolean {
  const { status } = crd as { status?: { conditions?: { type: string; status: string }[] } };
  return (
    status?.conditions?.some((condition) => condition.type === 'Established' && condition.status === 'True') ?? false
  );
}

/** Polls until the condition holds. Throws, naming it, after a minute. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${PATIENCE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** The path of a kind's objects in a namespace. */
export function collection(plural: string, namespace: string): string {
  return `/apis/${API_VERSION}/namespaces/${namespace}/${plural}`;
}

/** A client that is this user and has nothing but what RBAC gives it. */
export async function as(plane: ControlPlane, user: string): Promise<ApiClient> {
  return apiClient(plane.url, plane.caPem, await plane.issueClientCertificate({ user }));
}

/** Gives a user one of our ClusterRoles in a namespace, and returns when it is in force. */
export function grant(plane: ControlPlane, namespace: string, user: string, role: string): Promise<void> {
  return bind(plane, user, role, namespace);
}

/** Gives a user one of our ClusterRoles in every namespace and for what has none, and returns when it is in force. */
export function grantEverywhere(plane: ControlPlane, user: string, role: string): Promise<void> {
  return bind(plane, user, role);
}

const RBAC = '/apis/rbac.authorization.k8s.io/v1';

async function bind(plane: ControlPlane, user: string, role: string, namespace?: string): Promise<void> {
  const path = namespace === undefined ? 'clusterrolebindings' : `namespaces/${namespace}/rolebindings`;
  const answer = await plane.request(`${RBAC}/${path}`, {
    method: 'POST',
    body: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: namespace === undefined ? 'ClusterRoleBinding' : 'RoleBinding',
      metadata: { name: `${user}-${role}` },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
    },
  });
  // A control plane that was kept has it already.
  if (answer.status !== 201 && answer.status !== 409)
    throw new Error(`cannot bind ${role} to ${user}: ${messageOf(answer)}`);
  const { rules } = (await read(plane, `${RBAC}/clusterroles/${role}`)) as { rules: readonly PolicyRule[] };
  await untilMay(plane, user, rules, namespace);
}

/**
 * Waits until RBAC gives a user the last right of each rule: the API server goes by what its own watch has shown it of a role and its binding, some time
 * after they were stored.
 * @param namespace where. @default everywhere
 */
export async function untilMay(
  plane: ControlPlane,
  user: string,
  rules: readonly PolicyRule[],
  namespace?: string,
): Promise<void> {
  for (const rule of rules) {
    const right = rightsOf([rule]).at(-1) as Right;
    const body = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user, resourceAttributes: { ...right, namespace } },
    };
    await until(`${user} may ${right.verb} ${right.resource}`, async () => {
      const review = await plane.request('/apis/authorization.k8s.io/v1/subjectaccessreviews', {
        method: 'POST',
        body,
      });
      return (review.body as { status?: { allowed: boolean } }).status?.allowed === true;
    });
  }
}

/** What the API server said, or nothing. */
export function messageOf(answer: ApiResponse): string {
  return (answer.body as { message?: string }).message ?? '';
}

const step = (name: string, more: object = {}) => ({
  name,
  participant: 'inventory',
  command: 'reserve-stock',
  ...more,
});

/** A saga of one step, with other fields of spec on top. */
export function sagaDraft(name: string, spec: object = {}): Draft {
  return {
    apiVersion: API_VERSION,
    kind: 'OrderSaga',
    metadata: { name },
    spec: { steps: [step('reserve-stock')], ...spec },
  };
}

/** A saga with these steps: a name and what differs. */
export function sagaOf(...steps: readonly (readonly [string, object?])[]): Draft {
  return sagaDraft('checkout', { steps: steps.map(([name, more]) => step(name, more)) });
}

/** The input of a plausible order. */
export function inputDraft(more: object = {}): object {
  return {
    customer: 'customer-17',
    currency: 'GBP',
    lines: [{ sku: '85123A', quantity: 6, unitPrice: 255 }],
    paymentToken: 'tok_visa',
    shipTo: { name: 'Ada Byron', country: 'GB' },
    ...more,
  };
}

/** A run of `checkout`, with other fields of spec on top. */
export function runDraft(orderId: string, spec: object = {}): Draft {
  return {
    apiVersion: API_VERSION,
    kind: 'OrderSagaRun',
    metadata: { name: `checkout-${orderId}` },
    spec: { sagaRef: { name: 'checkout' }, orderId, input: inputDraft(), ...spec },
  };
}

/** A spec of a restock order, with other fields on top. */
export function restockSpec(more: object = {}): object {
  return { warehouse: 'leeds', supplier: 'potteries', lines: [{ sku: 'MUG', quantity: 10 }], ...more };
}

/** A spec of a stock adjustment, with other fields on top. */
export function adjustmentSpec(more: object = {}): object {
  return {
    adjustmentId: 'count-1',
    warehouse: 'leeds',
    sku: 'MUG',
    type: 'Counted',
    quantity: 10,
    reason: 'Yearly count',
    ...more,
  };
}

/** A spec of a warehouse, with other fields on top. */
export function warehouseSpec(more: object = {}): object {
  return { participant: { name: 'inventory' }, location: { country: 'GB' }, ...more };
}

/** A spec of a participant, with other fields on top. */
export function participantSpec(more: object = {}): object {
  return { url: 'http://127.0.0.1:18081', audience: 'inventory', commands: [{ name: 'reserve-stock' }], ...more };
}

/** A spec of a boundary around `mercato-card`, with other fields on top. */
export function boundarySpec(more: object = {}): object {
  return { namespaces: ['mercato-card'], ...more };
}

/** An object of any other kind. */
export function draft(kind: string, name: string, spec: object): Draft {
  return { apiVersion: API_VERSION, kind, metadata: { name }, spec };
}

/** The path segment of a kind. Throws for what is none of ours. */
export function pluralOf(kind: string): string {
  return definitionOf(kind).plural;
}

/** The path of a kind's objects, whether they live in a namespace or not. Throws for what is none of ours. */
export function placeOf(kind: string, namespace: string): string {
  const { scope, plural } = definitionOf(kind);
  return scope === 'Cluster' ? `/apis/${API_VERSION}/${plural}` : collection(plural, namespace);
}

function definitionOf(kind: string): KindDefinition {
  const found = kinds.find((candidate) => candidate.kind === kind);
  if (found === undefined) throw new Error(`${kind} is none of our kinds`);
  return found;
}

/** Creates an object; with `dryRun` the API server only says whether it would. Any status is an answer. */
export function create(
  client: ApiClient,
  namespace: string,
  object: Draft,
  { dryRun = false, query = '' }: { dryRun?: boolean; query?: string } = {},
): Promise<ApiResponse> {
  const path = placeOf(object.kind, namespace);
  return client(`${path}?${dryRun ? 'dryRun=All&' : ''}${query}`, { method: 'POST', body: object });
}

/** Merge-patches an object. Any status is an answer. */
export function patch(
  client: ApiClient,
  namespace: string,
  object: Draft,
  body: unknown,
  subresource = '',
): Promise<ApiResponse> {
  const path = `${placeOf(object.kind, namespace)}/${object.metadata.name}${subresource}`;
  return client(path, { method: 'PATCH', contentType: 'application/merge-patch+json', body });
}
