/** haplane's event hub, store and edge, without HAProxy: `node ours.ts DIRECTORY` listens on `grpc.sock` and `connect.sock` in it. Events are durable. */

import { join } from "node:path";
import process from "node:process";
import { pino } from "pino";
import { Registry } from "prom-client";
import { createEventHub } from "../../src/events/create-event-hub.ts";
import { PresentState } from "../../src/events/present-state.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createConnectListener } from "../../src/rpc/connect.ts";
import { createEdge } from "../../src/rpc/edge.ts";
import { createGrpcListener } from "../../src/rpc/grpc.ts";
import { createHealth } from "../../src/rpc/health.ts";
import { eventsService } from "../../src/service/events.ts";
import { openStore } from "../../src/store/store.ts";
import { obey } from "./control.ts";
import { serverEvent } from "./event.ts";

const [directory] = process.argv.slice(2) as [string];
const logger = pino({ level: "silent" });
const store = await openStore(join(directory, "state"), { clock: systemClock, logger, pid: process.pid });
const hub = createEventHub({ log: store.events, clock: systemClock });
const edge = createEdge({
  services: [eventsService(hub, new PresentState(store.events))],
  health: createHealth(),
  verify: () => undefined,
  log: logger,
  metrics: new Registry(),
  clock: systemClock,
  audit: () => {},
});
const listenerOptions = (name: string) => ({
  address: { kind: "unix", path: join(directory, name) } as const,
  policy: { authentication: "peer" } as const,
});
await createGrpcListener(edge, listenerOptions("grpc.sock"));
await createConnectListener(edge, { ...listenerOptions("connect.sock"), routes: [] });

let count = 0;
obey(async (size) => {
  // Each is an entry of its own, as independent changes are; those that come together share a transaction.
  const published: Promise<void>[] = [];
  for (let i = 0; i < size; i += 1) published.push(hub.publish([serverEvent(count++)]));
  await Promise.all(published);
});
