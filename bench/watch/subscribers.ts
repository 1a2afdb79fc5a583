import { once } from "node:events";
import { Agent, request as request1 } from "node:http";
import { connect } from "node:http2";
import { connect as connectSocket } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { WatchRequestSchema, WatchResponseSchema } from "../../gen/haplane/v1/events_pb.js";

/** How subscribers speak. `raw` is gRPC's framing to a server that is none. */
export type Speech = "raw" | "grpc" | "connect-h1" | "connect-h2";

/** Open streams and what came over them. */
export interface Subscribers {
  /** Events that have come, of all subscribers; a bookmark is none. */
  readonly events: number;
  /** Events that did not follow the one before them: one of the subscribers looks, so that looking does not make the others slow. */
  readonly gaps: number;
  /** Resolves when so many have come in all. */
  reached(events: number): Promise<void>;
  close(): Promise<void>;
}

const AT_ONCE = 100;
const PATH = "/haplane.v1.Events/Watch";

/** Opens `count` watches, `perConnection` on each connection, and waits until each has its first message. */
export async function subscribe(
  speech: Speech,
  socket: string,
  count: number,
  perConnection: number,
): Promise<Subscribers> {
  let events = 0;
  let opened = 0;
  let gaps = 0;
  let ended = false;
  let closing = false;
  let wake = () => {};
  const closers: (() => Promise<unknown>)[] = [];
  const until = async (done: () => boolean) => {
    while (!done()) {
      if (ended) throw new Error(`a stream ended after ${events} events`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const end = () => {
    if (closing) return;
    ended = true;
    wake();
  };
  const reader = (look: "count" | "decode") => {
    let first = true;
    let last: bigint | undefined;
    return frameReader((message) => {
      if (first) {
        first = false;
        opened += 1;
      } else if (look === "count") {
        events += countEvents(message);
      } else {
        for (const { revision } of fromBinary(WatchResponseSchema, message).events) {
          if (last !== undefined && revision !== last + 1n) gaps += 1;
          last = revision;
          events += 1;
        }
      }
      wake();
    });
  };
  const body = envelope(toBinary(WatchRequestSchema, create(WatchRequestSchema)));
  if (speech === "connect-h1") {
    const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY });
    for (let i = 0; i < count; i += 1) {
      const headers = { "content-type": "application/connect+proto" };
      const sent = request1({ socketPath: socket, path: PATH, method: "POST", headers, agent });
      sent.on("error", () => {});
      sent.on("response", (response) =>
        response
          .on("data", reader("count"))
          .on("error", () => {})
          .on("close", end),
      );
      sent.end(body);
      // A socket's backlog is short.
      if (i % AT_ONCE === AT_ONCE - 1) await until(() => opened === i + 1);
    }
    closers.push(async () => agent.destroy());
  } else {
    const contentType = speech === "connect-h2" ? "application/connect+proto" : "application/grpc";
    for (let left = count; left > 0; left -= perConnection) {
      const session = connect("http://localhost", {
        createConnection: () => connectSocket(socket),
        settings: { initialWindowSize: 1024 * 1024, enablePush: false },
      });
      session.on("error", () => {});
      await once(session, "connect");
      session.setLocalWindowSize(16 * 1024 * 1024);
      for (let i = 0; i < Math.min(left, perConnection); i += 1) {
        const stream = session.request({
          ":method": "POST",
          ":path": PATH,
          "content-type": contentType,
          te: "trailers",
        });
        stream.on("error", () => {});
        stream.on("data", reader(closers.length + i === 0 ? "decode" : "count"));
        stream.on("close", end);
        stream.end(body);
      }
      if (left % AT_ONCE === 0) await until(() => opened >= count - left);
      closers.push(() => {
        const closed = once(session, "close");
        session.destroy();
        return closed;
      });
    }
  }
  await until(() => opened === count);
  return {
    get events() {
      return events;
    },
    get gaps() {
      return gaps;
    },
    reached: (wanted) => until(() => events >= wanted),
    async close() {
      closing = true;
      await Promise.all(closers.map((close) => close()));
    },
  };
}

function envelope(message: Uint8Array): Buffer {
  const framed = Buffer.alloc(5 + message.length);
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, 5);
  return framed;
}

/** Cuts a stream of bytes into messages. gRPC and Connect frame them alike. */
function frameReader(take: (message: Uint8Array) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (rest.length - at >= 5) {
      const length = rest.readUInt32BE(at + 1);
      if (rest.length - at < 5 + length) break;
      take(rest.subarray(at + 5, at + 5 + length));
      at += 5 + length;
    }
    rest = rest.subarray(at);
  };
}

const TAG_EVENTS = 0x0a;

/** How many events a message has, without decoding them: they come first. */
function countEvents(message: Uint8Array): number {
  let count = 0;
  for (let at = 0; message[at] === TAG_EVENTS; count += 1) {
    let length = 0;
    let shift = 0;
    at += 1;
    for (;;) {
      const byte = message[at++] ?? 0;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
      shift += 7;
    }
    at += length;
  }
  return count;
}
