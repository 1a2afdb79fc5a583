import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ConnectError, createClient } from "@connectrpc/connect";
import {
  type Event,
  EventSchema,
  Events,
  EventType,
  type WatchRequestSchema,
  type WatchResponse,
} from "../../gen/haplane/v1/events_pb.js";
import { stackTransport, type WatchStack } from "./watching.ts";

/** What a message of a watch was, without the events' own bytes, of which there may be many. */
export interface ReadMessage {
  readonly cursor: string;
  readonly revision: number;
  readonly bookmark: boolean;
  readonly partial: boolean;
  /** Digests of the events that the log has too. */
  readonly durable: readonly string[];
  /** Resources of the present state. */
  readonly current: readonly string[];
  /** Bytes of all its events. */
  readonly bytes: number;
}

/** Tells an event from all others. */
export function digestOf(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("base64");
}

/** Between the end of a stream and the next attempt. */
const AGAIN_MS = 50;

/** Watches over real connections for as long as it is open: each watch goes on from the last cursor of the one before. */
export class ResumingReader {
  readonly stack: WatchStack;
  readonly wish: MessageInitShape<typeof WatchRequestSchema>;
  /** The messages of each watch. */
  readonly streams: ReadMessage[][] = [];
  /** What ended each; undefined: nothing did, it was simply over. */
  readonly endings: (ConnectError | undefined)[] = [];
  #cursor: string;
  #gate = Promise.resolve();
  #open = () => {};
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;

  /** `dir` is where the sockets are, as `stackTransport` wants it. With a cursor it goes on from there; else it begins now. */
  constructor(
    { dir, headers }: { readonly dir: string; readonly headers: Record<string, string> },
    stack: WatchStack,
    wish: MessageInitShape<typeof WatchRequestSchema>,
    cursor = "",
  ) {
    this.stack = stack;
    this.wish = wish;
    this.#cursor = cursor;
    this.#done = this.#run(dir, headers);
  }

  get cursor(): string {
    return this.#cursor;
  }

  /** Takes no further message until `go`. */
  pause(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    this.#open = resolve;
  }

  go(): void {
    this.#open();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.go();
    await this.#done;
  }

  async #run(dir: string, headers: Record<string, string>): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      // Whoever has no cursor yet has seen nothing that counts.
      if (this.#cursor === "") this.streams.length = 0;
      const messages: ReadMessage[] = [];
      this.streams.push(messages);
      const { transport, close } = stackTransport(dir, this.stack);
      const cursor = this.#cursor;
      const request = cursor === "" ? this.wish : { ...this.wish, includeCurrent: false, cursor };
      try {
        for await (const message of createClient(Events, transport).watch(request, { headers, signal })) {
          messages.push(read(message));
          if (message.cursor !== "") this.#cursor = message.cursor;
          await this.#gate;
        }
        if (!signal.aborted) this.endings.push(undefined);
      } catch (error) {
        if (!signal.aborted) this.endings.push(ConnectError.from(error));
      } finally {
        close();
      }
      await sleep(AGAIN_MS, undefined, { signal }).catch(() => {});
    }
  }
}

function read({ events, cursor, revision, bookmark, partial }: WatchResponse): ReadMessage {
  const [durable, current]: [string[], string[]] = [[], []];
  let bytes = 0;
  for (const event of events) {
    const encoded = toBinary(EventSchema, event);
    bytes += encoded.length;
    if (isDurable(event)) durable.push(digestOf(encoded));
    else if (event.type === EventType.CURRENT) current.push(event.resource);
  }
  return { cursor, revision: Number(revision), bookmark, partial, durable, current, bytes };
}

function isDurable({ ephemeral, type }: Event): boolean {
  return !ephemeral && type !== EventType.CURRENT;
}
