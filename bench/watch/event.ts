import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Event,
  EventKind,
  EventSchema,
  EventType,
  WatchResponseSchema,
} from "../../gen/haplane/v1/events_pb.js";

/** An event of about 200 bytes; the revision tells it from others. */
export function serverEvent(n: number): Event {
  const server = `instance-${String(n % 1_000_000).padStart(6, "0")}`;
  return create(EventSchema, {
    kind: EventKind.SERVER,
    type: EventType.UPDATED,
    time: timestampFromMs(1_700_000_000_000 + n),
    resource: `backends/consul-payments-v2/servers/${server}`,
    revision: BigInt(n + 1),
    author: "sources/production-datacenter",
    payload: {
      case: "server",
      value: { backend: "consul-payments-v2", server, address: "10.123.45.67", port: 8443, weight: 100 },
    },
  });
}

/** The message that carries it, in a gRPC frame. */
export function frameOf(n: number): Buffer {
  const event = serverEvent(n);
  const message = toBinary(
    WatchResponseSchema,
    create(WatchResponseSchema, { events: [event], cursor: "A".repeat(42), revision: event.revision }),
  );
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}
