import { dirname } from 'node:path/posix';
import { any, not } from '../holes/index.ts';
import { checksTokens, isController, isStateful, serviceOf, subscribersOf } from '../model/derive.ts';
import type { SecretFile, Service } from '../model/types.ts';
import { applies, type ServiceContext } from './context.ts';
import { k8s } from './kube.ts';

/** Where the embedded store is. */
export const DATA = '/data';
/** Where what it takes to read the API server's keys is. */
export const JWKS = '/var/run/mercato/jwks';
/** Where the token is that events are sent with. */
export const RELAY = '/var/run/mercato/relay';
const SECRETS = '/etc/mercato/secrets';
const CALLS = '/var/run/mercato/calls';

/** How long a projected token holds, in seconds; the kubelet renews it when 80 % have gone. */
const TOKEN_SECONDS = 3_600;
/** What Node writes outside of the store: nothing that matters. */
const TMP_LIMIT = '64Mi';

/** Where a secret's file is. */
export const secretFile = ({ name, key }: SecretFile): string => `${SECRETS}/${name}/${key}`;

/** Where the token is that a service is called with. */
export const callToken = ({ name }: Service): string => `${CALLS}/${name}/token`;

/** A volume of the pod, and where the container sees it. */
interface Mounted {
  readonly volume: k8s.Volume;
  readonly mountPath: string;
  readonly readOnly: boolean;
}

/** The pod's volumes, the claim of a StatefulSet excepted: that one comes from its template. */
export function volumes(ctx: ServiceContext): k8s.Volume[] {
  return mounted(ctx).map(({ volume }) => volume);
}

/** Where the container sees them, the claim included. */
export function volumeMounts(ctx: ServiceContext): k8s.VolumeMount[] {
  const mounts = mounted(ctx).map(({ volume, mountPath, readOnly }) => ({
    name: volume.name,
    mountPath,
    ...(readOnly && { readOnly }),
  }));
  return isStateful(ctx.service) ? [...mounts, { name: 'data', mountPath: DATA }] : mounts;
}

function mounted(ctx: ServiceContext): Mounted[] {
  const sizeLimit = k8s.Quantity.fromString(TMP_LIMIT);
  return [
    { volume: { name: 'tmp', emptyDir: { sizeLimit } }, mountPath: '/tmp', readOnly: false },
    ...(checksTokens(ctx.service) ? [jwks()] : []),
    ...relay(ctx),
    ...callTokens(ctx),
    ...secrets(ctx),
  ];
}

/** The cluster's authority, and a token for nothing but the API server, which by default lets every account read its keys. */
function jwks(): Mounted {
  const sources = [
    { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: 'token' } },
  ];
  return { volume: { name: 'jwks', projected: { sources } }, mountPath: JWKS, readOnly: true };
}

/** The token that events are sent with. All subscribers want the same audience (checkModel), but those whom an installation names have one of their own. */
function relay({ model, service, values }: ServiceContext): Mounted[] {
  const audience =
    service.announces === undefined ? subscribersOf(model, service)[0]?.tokens?.audience : values.announceTo.audience;
  // A controller asks for its tokens itself.
  if (audience === undefined || isController(service)) return [];
  return [{ volume: projected('relay', audience), mountPath: RELAY, readOnly: true }];
}

/** The tokens of calls that say theirs. */
function callTokens({ model, service }: ServiceContext): Mounted[] {
  return service.calls.flatMap(({ to, token }) =>
    token === undefined
      ? []
      : [
          {
            volume: projected(`call-${to}`, token.audience),
            mountPath: dirname(callToken(serviceOf(model, to))),
            readOnly: true,
          },
        ],
  );
}

function projected(name: string, audience: string): k8s.Volume {
  const sources = [{ serviceAccountToken: { audience, expirationSeconds: TOKEN_SECONDS, path: 'token' } }];
  return { name, projected: { sources } };
}

/** One volume for each Secret. The pod waits for one that its settings need, and starts without one that they do not. */
function secrets({ service, values }: ServiceContext): Mounted[] {
  const byName = Map.groupBy(service.secrets ?? [], ({ name }) => name);
  return [...byName].map(([name, files]) => ({
    volume: {
      name: `secret-${name}`,
      secret: {
        secretName: values.secrets[name] ?? name,
        items: files.map(({ key }) => ({ key, path: key })),
        optional: not(any(...whens(files).map((when) => applies(when, values)))),
        defaultMode: 0o440,
      },
    },
    mountPath: `${SECRETS}/${name}`,
    readOnly: true,
  }));
}

/** The settings under which one of the files is needed, each once. */
function whens(files: readonly SecretFile[]): SecretFile['when'][] {
  return [...new Map(files.map(({ when }) => [JSON.stringify(when), when])).values()];
}
