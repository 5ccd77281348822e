import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** One address before several servers, as a Service of the cluster is: each connection goes to one that takes it. */
export class Door {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  readonly #targets: readonly URL[];
  #next = 0;

  private constructor(addresses: readonly string[]) {
    this.#targets = addresses.map((address) => new URL(address));
    this.#server = createServer((socket) => this.#lead(socket, this.#targets.length));
  }

  /** Listens on a free port of the loopback. @param addresses as `http://127.0.0.1:8080` */
  static async open(addresses: readonly string[]): Promise<Door> {
    const door = new Door(addresses);
    await new Promise<void>((resolve) => door.#server.listen(0, '127.0.0.1', resolve));
    return door;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** @param tries servers that may still be asked; when none is left, the caller is turned away */
  #lead(caller: Socket, tries: number): void {
    const target = this.#targets[this.#next++ % this.#targets.length];
    if (target === undefined || tries === 0) return void caller.destroy();
    const server = connect(Number(target.port), target.hostname);
    const refused = () => this.#lead(caller, tries - 1);
    server.once('error', refused);
    server.once('connect', () => {
      server.off('error', refused);
      for (const [one, other] of [
        [caller, server],
        [server, caller],
      ] as const) {
        this.#open.add(one);
        one.on('error', () => other.destroy());
        one.once('close', () => {
          this.#open.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
  }
}
