import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { type Reach, requestedTokens } from '../play/reach.ts';
import type { Venue } from '../play/venue.ts';
import { OBSERVER_ACCOUNT, SYSTEM_NAMESPACE } from './install.ts';
import { type Site, urlOf } from './programs.ts';
import { firstEnded, type Shop } from './shop.ts';

/** The shop of this machine, with tokens of this program's own service account. */
export function localReach(site: Site, client: KubeClient): Reach {
  return {
    urlOf: (name) => urlOf(site, name),
    tokenFor: requestedTokens(client, { namespace: SYSTEM_NAMESPACE, name: OBSERVER_ACCOUNT }),
  };
}

/** A day is played in the shop of this machine, and is over when one of its processes ends. */
export function localVenue(shop: Shop): Venue {
  return { client: shop.client, reach: localReach(shop.site, shop.client), broken: () => firstEnded(shop) };
}
