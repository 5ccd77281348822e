/** One server-sent event. */
export interface StreamEvent {
  readonly id: string;
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A client of a stream of server-sent events that remembers what it got. */
export class EventSourceClient {
  readonly status: number;
  readonly headers: Headers;
  readonly events: StreamEvent[] = [];
  comments = 0;
  hasEnded = false;
  readonly #abort: AbortController;

  private constructor(response: Response, abort: AbortController) {
    this.status = response.status;
    this.headers = response.headers;
    this.#abort = abort;
    void this.#read(response).catch(() => {
      // Cut off by this side, or by the other.
      this.hasEnded = true;
    });
  }

  static async open(url: string, headers: Readonly<Record<string, string>>): Promise<EventSourceClient> {
    const abort = new AbortController();
    return new EventSourceClient(await fetch(url, { headers, signal: abort.signal }), abort);
  }

  /** Waits until this holds; rejects after 15 s. */
  async until(holds: (client: this) => boolean): Promise<void> {
    for (const deadline = Date.now() + 15_000; !holds(this); ) {
      if (Date.now() > deadline)
        throw new Error(`not in 15 s: ${JSON.stringify(this.events)}, ended: ${this.hasEnded}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  close(): void {
    this.#abort.abort();
  }

  async #read(response: Response): Promise<void> {
    let rest = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const blocks = (rest + chunk).split('\n\n');
      rest = blocks.pop()!;
      for (const block of blocks) this.#take(block);
    }
    this.hasEnded = true;
  }

  #take(block: string): void {
    if (block.startsWith(':')) this.comments++;
    const field = (name: string) =>
      block
        .split('\n')
        .find((line) => line.startsWith(`${name}: `))
        ?.slice(name.length + 2);
    const data = field('data');
    if (data === undefined) return;
    this.events.push({
      id: field('id') ?? '',
      event: field('event') ?? '',
      data: JSON.parse(data) as StreamEvent['data'],
    });
  }
}
