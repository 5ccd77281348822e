import { Agent } from 'undici';
import type { Participant } from '../../api/participant.ts';
import { InventoryClient, type InventoryClientOptions } from '../../inventory/client.ts';
import type { Inventory } from '../../inventory/port.ts';
import type { ReadStore } from '../../kube/store.ts';
import type { TokenSource } from '../../participants/tokens.ts';
import { addressOf } from '../participant/registry.ts';

/** The inventory that a Participant names, or why there is none to talk to. */
export type Found =
  | { readonly found: true; readonly inventory: Inventory; readonly address: string }
  | { readonly found: false; readonly reason: 'ParticipantNotFound' | 'QueueNotSupported'; readonly message: string };

/** Connections to one inventory. Reads of stock are large and rare, bookings small and rare. */
const CONNECTIONS = 4;

/** Finds inventories by the Participants that declare them; their connections are pooled by origin, so that a changed address is live at once. */
export class InventoryDirectory {
  readonly #participants: ReadStore<Participant>;
  readonly #options: Pick<InventoryClientOptions, 'tokens' | 'observer'>;
  readonly #agent = new Agent({ connections: CONNECTIONS, keepAliveTimeout: 30_000, connectTimeout: 5000 });

  constructor(
    participants: ReadStore<Participant>,
    options: { tokens: TokenSource; observer?: NonNullable<InventoryClientOptions['observer']> },
  ) {
    this.#participants = participants;
    this.#options = options;
  }

  /** The inventory behind a Participant, as it is declared now. */
  find(namespace: string, name: string): Found {
    const participant = this.#participants.get(namespace, name);
    if (participant === undefined) {
      const message = `there is no Participant ${name} in this namespace: apply it, or correct spec.participant`;
      return { found: false, reason: 'ParticipantNotFound', message };
    }
    const address = addressOf(participant);
    if (address === undefined) {
      const message = `Participant ${name} is a queue; inventory is administered over HTTP: give it a service or a url`;
      return { found: false, reason: 'QueueNotSupported', message };
    }
    const { audience } = participant.spec;
    const inventory = new InventoryClient({ ...this.#options, baseUrl: address, audience, dispatcher: this.#agent });
    return { found: true, inventory, address };
  }

  /** Lets requests under way end, and closes all connections. */
  async close(): Promise<void> {
    await this.#agent.close();
  }
}
