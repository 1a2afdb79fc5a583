import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { EventKind, EventSchema, EventType } from "../../gen/haplane/v1/events_pb.js";
import { DiscoveredServiceSchema } from "../../gen/haplane/v1/service_discovery_pb.js";
import { serviceChangeEvent } from "./service-event.ts";

const NOW = Date.UTC(2026, 0, 1);

/** The event about a service with so many servers, as a reader gets it. */
function told(servers: number) {
  const service = create(DiscoveredServiceSchema, {
    name: "sources/s/services/web",
    servers: Array.from({ length: servers }, (_, i) => ({ server: `n${i}` })),
  });
  const event = create(EventSchema, serviceChangeEvent({ type: "updated", service }, NOW));
  // What it is made from stays whole: it is also what a list shows.
  assert.equal(service.servers.length, servers);
  const read = fromBinary(EventSchema, toBinary(EventSchema, event));
  assert.ok(read.payload.case === "service");
  const names = read.payload.value.service?.servers.map(({ server }) => server) ?? [];
  return { read, names, more: read.payload.value.moreServers };
}

for (const [servers, shown, more] of [
  [0, 0, 0],
  [100, 100, 0],
  [101, 100, 1],
  [10_000, 100, 9_900],
] as const) {
  test(`of ${servers} servers an event has the first ${shown} and counts ${more} more`, () => {
    const { names, ...counted } = told(servers);
    assert.deepEqual(
      names,
      Array.from({ length: shown }, (_, i) => `n${i}`),
    );
    assert.equal(counted.more, more);
  });
}

test("a service's event is of its source, under its own name", () => {
  const { kind, type, author, resource } = told(1).read;
  assert.deepEqual(
    { kind, type, author, resource },
    {
      kind: EventKind.SERVICE,
      type: EventType.UPDATED,
      author: "sources/s",
      resource: "sources/s/services/web",
    },
  );
});
