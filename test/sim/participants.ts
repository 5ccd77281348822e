import type { CommandRequest } from '@mercato/kit';
import { readAnswer } from '@mercato/operator/participants/answer.ts';
import type { Participants, SendEffect } from '@mercato/operator/participants/participants.ts';
import { commandText } from '@mercato/operator/participants/request.ts';
import type { Answer, RunId } from '@mercato/operator/saga/types.ts';
import type { Faults } from './faults.ts';
import type { Network } from './network.ts';
import type { Node } from './node.ts';
import type { Random } from './random.ts';
import type { ServiceHost } from './service-host.ts';

/** An answer on the wire. */
interface Wire {
  readonly status: number;
  readonly contentType?: string;
  readonly retryAfter?: string;
  readonly text: string;
}

/** What stands between caller and service and answers in its place; none of it says what became of the command. */
const GARBLED: readonly Wire[] = [
  { status: 502, contentType: 'text/html', text: '<html>Bad Gateway</html>' },
  { status: 200, contentType: 'text/html', text: '<html>Please sign in</html>' },
  { status: 200, contentType: 'application/json', text: '{"reservationId":"r' },
  { status: 200, contentType: 'application/json', text: '[]' },
  { status: 401, contentType: 'application/problem+json', text: '{"title":"Unauthorized","status":401}' },
  { status: 404, contentType: 'text/plain', text: 'no such route' },
  { status: 408, contentType: 'text/plain', text: 'too slow' },
  { status: 422, contentType: 'application/problem+json', text: '{"reason":"NeverDeclared","status":422}' },
  {
    status: 429,
    contentType: 'application/problem+json',
    retryAfter: '0.3',
    text: '{"title":"slow down","status":429}',
  },
  { status: 500, contentType: 'application/problem+json', text: '{"title":"Internal Server Error","status":500}' },
];

/** The business failures that each command may answer: what the Participant objects declare. */
export type Declared = Readonly<Record<string, readonly string[]>>;

/** Participants over the simulated network: the adapter's own request and reading of answers, without its sockets. */
export class SimulatedParticipants implements Participants {
  readonly #node: Node;
  readonly #network: Network;
  readonly #faults: Faults;
  readonly #random: Random;
  readonly #hosts: ReadonlyMap<string, ServiceHost>;
  readonly #mayDie: (point: string) => boolean;

  constructor(
    node: Node,
    network: Network,
    faults: Faults,
    random: Random,
    hosts: ReadonlyMap<string, ServiceHost>,
    mayDie: (point: string) => boolean,
  ) {
    this.#node = node;
    this.#network = network;
    this.#faults = faults;
    this.#random = random;
    this.#hosts = hosts;
    this.#mayDie = mayDie;
  }

  send(run: RunId, effect: SendEffect, signal: AbortSignal): Promise<Answer> {
    const host = this.#hosts.get(effect.participant);
    if (host === undefined) throw new Error(`there is no participant ${effect.participant}`);
    const what = `${effect.command} ${run.orderId}`;
    if (this.#mayDie(`before ${what}`)) return new Promise(() => {});
    const text = commandText(effect);
    const request: CommandRequest = {
      command: effect.command,
      key: text.key,
      epoch: text.epoch,
      begun: text.begun,
      ...(text.traceparent === undefined ? {} : { traceparent: text.traceparent }),
      body: JSON.parse(text.body) as unknown,
    };
    const answered = new Promise<Answer>((resolve) => {
      const cancel = this.#node.after(effect.timeout, () =>
        resolve({ type: 'Unknown', reason: 'Timeout', message: `no answer in ${effect.timeout} ms` }),
      );
      signal.addEventListener('abort', cancel, { once: true });
      void this.#network
        .call(
          this.#node,
          () => host.node,
          what,
          () => this.#carryOut(host, request, what),
        )
        .then((wire) => {
          cancel();
          if (this.#mayDie(`after ${what}`)) return;
          resolve(this.#read(wire, effect, host));
        });
    });
    this.#mayDie(`sent ${what}`);
    return answered;
  }

  async #carryOut(host: ServiceHost, request: CommandRequest, what: string): Promise<Wire | undefined> {
    if (this.#faults.strikes('garble', `${what} on its way in`)) return this.#random.pick(GARBLED);
    const answer = await host.execute(request);
    if (answer === undefined) return undefined;
    if (this.#faults.strikes('garble', `${what} on its way back`)) return this.#random.pick(GARBLED);
    return {
      status: answer.status,
      contentType: answer.status < 300 ? 'application/json' : 'application/problem+json',
      text: JSON.stringify(answer.body),
      ...(answer.retryAfter === undefined ? {} : { retryAfter: String(answer.retryAfter) }),
    };
  }

  #read(wire: Wire | undefined, effect: SendEffect, host: ServiceHost): Answer {
    if (wire === undefined) return { type: 'Unknown', reason: 'Connection', message: 'the connection was closed' };
    const { text, ...head } = wire;
    const raw = { ...head, body: Buffer.from(text), receivedAt: this.#node.wall() };
    const reasons = host.declared[effect.command] ?? [];
    return readAnswer(raw, { where: `POST ${host.name}`, command: effect.command, reasons });
  }
}
