import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ControlPlane, startControlPlane } from '@mercato/controlplane';
import type { Right } from '../api/rbac.ts';

/** Everything that service accounts ask for, without what is in it. */
const POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    userGroups: ["system:serviceaccounts"]
  - level: None
`;

/** One request, as the API server's audit log has it. https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/ */
interface AuditEntry {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly resource?: string;
    readonly subresource?: string;
    readonly apiGroup?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A right that was asked for, where, and what came of it. */
export interface Asked extends Right {
  /** Undefined: the whole cluster. */
  readonly namespace: string | undefined;
  readonly isRefused: boolean;
  /** What let it pass, as `RBAC: allowed by RoleBinding "x/y" of Role "y" to ...`. */
  readonly allowedBy: string;
}

/** A control plane of its own that keeps an audit log of what service accounts do. */
export class AuditedPlane {
  readonly plane: ControlPlane;
  readonly #log: string;

  private constructor(plane: ControlPlane, log: string) {
    this.plane = plane;
    this.#log = log;
  }

  static async start(): Promise<AuditedPlane> {
    const directory = await mkdtemp(join(tmpdir(), 'mercato-audit-'));
    const [policy, log] = [join(directory, 'policy.yaml'), join(directory, 'audit.log')];
    await writeFile(policy, POLICY);
    const plane = await startControlPlane({
      etcdUnsafeNoFsync: true,
      // Blocking: what was answered is in the log.
      apiServerArgs: [`--audit-policy-file=${policy}`, `--audit-log-path=${log}`, '--audit-log-mode=blocking'],
    });
    return new AuditedPlane(plane, log);
  }

  /** All that a user asked for so far. */
  async askedBy(user: string): Promise<Asked[]> {
    // What follows the last end of a line is being written: nobody has its answer yet.
    const lines = (await readFile(this.#log, 'utf8')).split('\n').slice(0, -1);
    return lines
      .map((line) => JSON.parse(line) as AuditEntry)
      .filter((entry) => entry.user.username === user)
      .map(({ verb, objectRef: { resource = '', subresource, apiGroup = '', namespace, name } = {}, ...entry }) => ({
        verb,
        group: apiGroup,
        resource: subresource === undefined ? resource : `${resource}/${subresource}`,
        ...(name !== undefined && { name }),
        namespace,
        isRefused: entry.responseStatus?.code === 403,
        allowedBy: entry.annotations?.['authorization.k8s.io/reason'] ?? '',
      }));
  }

  stop(): Promise<void> {
    return this.plane.stop();
  }
}
