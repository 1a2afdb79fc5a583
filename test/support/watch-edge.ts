import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import { createEventHub } from "../../src/events/create-event-hub.ts";
import type { EventHub } from "../../src/events/event-hub.ts";
import type { EventLog } from "../../src/events/event-log.ts";
import { PresentState } from "../../src/events/present-state.ts";
import type { WatchLimits } from "../../src/events/watch-limits.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createConnectListener } from "../../src/rpc/connect.ts";
import { createEdge } from "../../src/rpc/edge.ts";
import { createGrpcListener } from "../../src/rpc/grpc.ts";
import { createHealth } from "../../src/rpc/health.ts";
import { eventsService } from "../../src/service/events.ts";

/** `haplane.v1.Events` alone, over a log, on both listeners. */
export interface WatchEdge {
  /** Where `stackTransport` finds its sockets. Nobody has to say who they are. */
  readonly dir: string;
  readonly hub: EventHub;
  stop(): Promise<void>;
}

/** Serves the events of a log, which stays open. */
export async function startWatchEdge(log: EventLog, limits: WatchLimits): Promise<WatchEdge> {
  const dir = mkdtempSync(join(tmpdir(), "haplane-watch-"));
  mkdirSync(join(dir, "state"));
  const hub = createEventHub({ log, clock: systemClock, limits });
  const present = new PresentState(log);
  const edge = createEdge({
    services: [eventsService(hub, present)],
    health: createHealth(),
    verify: () => undefined,
    log: pino({ level: "silent" }),
    metrics: new Registry(),
    clock: systemClock,
    audit: () => {},
  });
  const at = (name: string) => ({ kind: "unix", path: join(dir, "state", name) }) as const;
  const policy = { authentication: "peer" } as const;
  const listeners = [
    await createGrpcListener(edge, { address: at("grpc.sock"), policy }),
    await createConnectListener(edge, { address: at("connect.sock"), policy, routes: [] }),
  ];
  return {
    dir,
    hub,
    async stop() {
      hub.close();
      present.close();
      await Promise.all(listeners.map((listener) => listener.close(0)));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
