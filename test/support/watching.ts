import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import {
  type Event,
  Events,
  type WatchRequestSchema,
  type WatchResponse,
} from "../../gen/haplane/v1/events_pb.js";
import { grpcJsTransport } from "./grpc-js-transport.ts";
import { connectTransport } from "./transports.ts";
import { waitFor } from "./wait.ts";

/** The ways in which a stream comes to a client. */
export const STACKS = ["grpc-js", "Connect, HTTP/1.1", "Connect, HTTP/2", "gRPC-Web"] as const;

/** One of them. */
export type WatchStack = (typeof STACKS)[number];

/** A transport to a running haplane over one stack, and the way to end its connections. */
export function stackTransport(
  dir: string,
  stack: WatchStack,
): { readonly transport: Transport; close(): void } {
  const socket = (name: string) => ({ kind: "unix", path: join(dir, "state", name) }) as const;
  switch (stack) {
    case "grpc-js": {
      const transport = grpcJsTransport(socket("grpc.sock"));
      return { transport, close: () => transport.close() };
    }
    case "Connect, HTTP/1.1":
      return { transport: connectTransport(socket("connect.sock"), "connect", "1.1"), close: () => {} };
    case "Connect, HTTP/2":
      return { transport: connectTransport(socket("connect.sock"), "connect", "2"), close: () => {} };
    case "gRPC-Web":
      return { transport: connectTransport(socket("connect.sock"), "grpc-web", "1.1"), close: () => {} };
  }
}

/** What an admin's calls carry. */
export function adminHeaders(dir: string): Record<string, string> {
  const token = readFileSync(join(dir, "state", "admin.token"), "utf8").trim();
  return { authorization: `Bearer ${token}` };
}

/** One watch over a real connection, and what has come of it. */
export class Watching {
  readonly messages: WatchResponse[] = [];
  /** What ended it, if it was not we. */
  error: unknown;
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;

  constructor(
    transport: Transport,
    headers: Record<string, string>,
    request: MessageInitShape<typeof WatchRequestSchema>,
  ) {
    const client: Client<typeof Events> = createClient(Events, transport);
    this.#done = (async () => {
      try {
        for await (const message of client.watch(request, { headers, signal: this.#abort.signal }))
          this.messages.push(message);
      } catch (error) {
        if (!this.#abort.signal.aborted) this.error = error;
      }
    })();
  }

  get events(): readonly Event[] {
    return this.messages.flatMap(({ events }) => events);
  }

  /** The place to go on from. */
  get cursor(): string {
    return this.messages.findLast(({ cursor }) => cursor !== "")?.cursor ?? "";
  }

  /** The first event, from the `after`th on, that is as wanted. */
  seen(what: string, wanted: (event: Event) => boolean, after = 0): Promise<Event> {
    return waitFor(what, () => {
      const found = this.events.slice(after).find(wanted);
      if (found === undefined && this.error !== undefined)
        throw new Error(`the watch has ended`, { cause: this.error });
      return found;
    });
  }

  /** Resolves when the stream has said where it begins. */
  begun(): Promise<WatchResponse> {
    return waitFor("the bookmark", () => {
      if (this.error !== undefined) throw this.error;
      return this.messages.find(({ bookmark }) => bookmark);
    });
  }

  async cancel(): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }

  /** Resolves when the stream has ended, by whomever. */
  ended(): Promise<void> {
    return this.#done;
  }
}
