import { randomBytes } from 'node:crypto';
import { lookUp } from './binaries/lookup.ts';
import type { ControlPlane } from './controlplane.ts';
import { startControlPlane } from './start.ts';
import { COMPONENTS } from './state.ts';
import { currentPlatform } from './versions.ts';

let shared: Promise<ControlPlane> | undefined;

/** Root hook of the mocha process that imports this file. Elsewhere (a bench, a script) the watchdog ends the processes. */
if (typeof after === 'function') {
  after('stop the shared control plane', async function () {
    this.timeout(60_000);
    await (await shared)?.stop();
  });
}

/**
 * The one control plane that the tests of a mocha process share, started when first asked for. Tests that kill the API
 * server, compact etcd or count processes start one of their own.
 *
 * Give the hook that calls it at least 60 s: the first caller waits for the start, which takes long on a busy machine.
 *
 * @param options.controllerManager starts kube-controller-manager too, for tests that delete namespaces, rely on owner
 * references or on default service accounts. @default false, though another test may have started it
 * @throws Error naming `make controlplane` when the binaries are missing: no test should wait minutes for a build
 */
export async function sharedControlPlane(
  options: { readonly controllerManager?: boolean } = {},
): Promise<ControlPlane> {
  shared ??= startShared();
  const plane = await shared;
  if (options.controllerManager === true) await plane.startControllerManager();
  return plane;
}

function startShared(): Promise<ControlPlane> {
  requireBinaries();
  return startControlPlane({ etcdUnsafeNoFsync: true });
}

/** @throws Error naming `make controlplane` when a program that tests need is not on this machine yet */
export function requireBinaries(): void {
  const { missing } = lookUp([...COMPONENTS, 'kubectl'], process.env, currentPlatform());
  if (missing.length > 0)
    throw new Error(
      `tests need ${missing.join(', ')}, which this machine does not have yet: run "make controlplane" first`,
    );
}

/**
 * Makes a namespace that no other test uses and answers its name. It is not deleted: it goes with the control plane.
 *
 * @param prefix says in logs whose it is; lower-case letters, digits and "-". @default "test"
 */
export async function uniqueNamespace(plane: ControlPlane, prefix = 'test'): Promise<string> {
  const name = `${prefix}-${randomBytes(5).toString('hex')}`;
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
  const answer = await plane.request('/api/v1/namespaces', { method: 'POST', body });
  if (answer.status !== 201)
    throw new Error(`cannot make the namespace ${name}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return name;
}
