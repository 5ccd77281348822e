import { stringify } from 'yaml';
import type { KeyAndCertificate } from './pki.ts';

/** A kubeconfig with everything inside, so that it can be copied elsewhere on this machine. */
export function kubeconfigYaml(url: string, caPem: string, user: string, certificate: KeyAndCertificate): string {
  const base64 = (pem: string) => Buffer.from(pem).toString('base64');
  return stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'mercato',
      contexts: [{ name: 'mercato', context: { cluster: 'mercato', user } }],
      clusters: [{ name: 'mercato', cluster: { server: url, 'certificate-authority-data': base64(caPem) } }],
      users: [
        {
          name: user,
          user: {
            'client-certificate-data': base64(certificate.certPem),
            'client-key-data': base64(certificate.keyPem),
          },
        },
      ],
    },
    { lineWidth: 0 },
  );
}
