import { setTimeout as pause } from "node:timers/promises";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import type { components } from "./generated/schema.js";
import type { Transport } from "./transport.js";

/** An entry of the record; which members it has depends on its kind. One whose content was erased has a seq and a leaf hash. */
export type Entry = components["schemas"]["Entry"] & { [member: string]: unknown };

/**
 * A workspace's record as it grows: entries in order, each once. When the connection ends, for whatever reason, it is made again and goes on
 * after the last entry that was handed out. Throws CounterfoilError if that does not succeed; `last` is where to go on. For one reader:
 * `for await (const entry of tail) ...`; leaving the loop closes it.
 */
export class Tail implements AsyncIterable<Entry> {
  /** The seq of the last entry that was handed out. */
  last: number;
  readonly #transport: Transport;
  readonly #url: string;
  readonly #stop = new AbortController();
  #pauseMs = 2_000;
  #chunks: AsyncIterator<Uint8Array> | undefined;
  #entries: AsyncGenerator<Entry, void, undefined>;

  private constructor(transport: Transport, url: string, last: number) {
    this.#transport = transport;
    this.#url = url;
    this.last = last;
    this.#entries = this.#run();
  }

  /** Listens when it resolves. */
  static async open(transport: Transport, url: string, last: number): Promise<Tail> {
    const tail = new Tail(transport, url, last);
    await tail.#open();
    return tail;
  }

  [Symbol.asyncIterator](): AsyncGenerator<Entry, void, undefined> {
    return this.#entries;
  }
  /** The next entry; undefined once it is closed. */
  async next(): Promise<Entry | undefined> {
    return (await this.#entries.next()).value ?? undefined;
  }
  close(): void {
    this.#stop.abort();
  }

  async *#run(): AsyncGenerator<Entry, void, undefined> {
    try {
      while (!this.#stop.signal.aborted) {
        const messages: EventSourceMessage[] = [];
        const parser = createParser({
          onEvent: (message) => messages.push(message),
          onRetry: (milliseconds) => (this.#pauseMs = milliseconds),
        });
        const text = new TextDecoder();
        for (let bytes = await this.#read(); bytes !== undefined; bytes = await this.#read()) {
          parser.feed(text.decode(bytes, { stream: true }));
          for (const message of messages.splice(0)) {
            const entry = JSON.parse(message.data) as Entry;
            this.last = Number(message.id);
            yield entry;
          }
        }
        if (this.#stop.signal.aborted) return;
        await pause(this.#pauseMs, undefined, { signal: this.#stop.signal });
        await this.#open();
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    } finally {
      this.#stop.abort();
    }
  }

  /** undefined: the connection has ended. */
  async #read(): Promise<Uint8Array | undefined> {
    try {
      const chunk = await this.#chunks?.next();
      return chunk === undefined || chunk.done ? undefined : chunk.value;
    } catch {
      return undefined;
    }
  }

  async #open(): Promise<void> {
    const headers = { accept: "text/event-stream", "last-event-id": String(this.last) };
    const response = await this.#transport.send({ method: "GET", url: this.#url, headers, signal: this.#stop.signal });
    this.#chunks = response.body?.[Symbol.asyncIterator]() as AsyncIterator<Uint8Array> | undefined;
  }
}
