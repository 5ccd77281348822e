/** What kube-controller-manager is started with. */
export interface ControllerManagerSettings {
  readonly kubeconfig: string;
  readonly authority: string;
  readonly serviceAccountKey: string;
}

/** The controllers that matter where there are no nodes: namespaces end, owners take their objects along, accounts exist. */
const CONTROLLERS = [
  'namespace-controller',
  'garbage-collector-controller',
  'serviceaccount-controller',
  'serviceaccount-token-controller',
  'root-ca-certificate-publisher-controller',
  'clusterrole-aggregation-controller',
  'resourcequota-controller',
  'validatingadmissionpolicy-status-controller',
];

/**
 * Command line of kube-controller-manager. Each controller uses a service account of its own, whose rights the API server
 * sets up; the rate is raised because a namespace with a thousand objects would take a minute to end at the default of 20/s.
 */
export function controllerManagerArgs({
  kubeconfig,
  authority,
  serviceAccountKey,
}: ControllerManagerSettings): string[] {
  return [
    `--kubeconfig=${kubeconfig}`,
    `--controllers=${CONTROLLERS.join(',')}`,
    `--root-ca-file=${authority}`,
    `--service-account-private-key-file=${serviceAccountKey}`,
    '--use-service-account-credentials=true',
    '--leader-elect=false',
    '--secure-port=0',
    '--kube-api-qps=200',
    '--kube-api-burst=400',
  ];
}
