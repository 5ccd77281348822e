/**
 * The order in which Argo CD applies what a service needs of AWS (`argocd.argoproj.io/sync-wave`). Pod Identity gives credentials at a pod's admission,
 * so a pod that is there before its association never gets any.
 */
export const WAVES = {
  /** Keys and the event bus, which everything else refers to. */
  foundations: -40,
  /** Tables, queues, topics, the bus' archive, keys' aliases. */
  stores: -30,
  /** Rules, which need their queues, and roles, which name what they may use. */
  access: -20,
  /** What binds a role to a service account. */
  associations: -10,
  pods: 0,
} as const;

export const SYNC_WAVE = 'argocd.argoproj.io/sync-wave';
