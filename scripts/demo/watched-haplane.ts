import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { EventKind, Events } from "../../gen/haplane/v1/events_pb.js";
import { Runtime } from "../../gen/haplane/v1/runtime_pb.js";
import type { StartedHaplane } from "../../test/support/start.ts";
import { connectTransport } from "../../test/support/transports.ts";

/** What the demo asks of haplane, over gRPC as any program would. */
export interface WatchedHaplane {
  /** Resolves with the time of the first event about a server at this port, in milliseconds of `performance.now()`. */
  eventAbout(port: number): Promise<number>;
  /** The ports of the servers that HAProxy has in a backend. */
  serverPorts(backend: string): Promise<ReadonlySet<number>>;
  /** HAProxy's own account of itself. */
  haproxy(): Promise<HaproxyAccount>;
  /** Ends the watch. */
  stop(): Promise<void>;
}

/** The process that serves. */
export interface HaproxyAccount {
  readonly version: string;
  readonly workerPid: number;
  /** How often it was reloaded. */
  readonly reloads: number;
}

/** Opens a watch of server events. */
export function watchHaplane({ stateDir, adminToken }: StartedHaplane): WatchedHaplane {
  const transport = connectTransport({ kind: "unix", path: join(stateDir, "grpc.sock") }, "grpc", "2");
  const headers = { authorization: `Bearer ${adminToken()}` };
  const runtime = createClient(Runtime, transport);
  const ending = new AbortController();
  const waiting = new Map<number, (at: number) => void>();

  const watching = (async () => {
    const stream = createClient(Events, transport).watch(
      { kinds: [EventKind.SERVER] },
      { headers, signal: ending.signal },
    );
    for await (const { events } of stream) {
      const now = performance.now();
      for (const { payload } of events) {
        if (payload.case !== "server") continue;
        waiting.get(payload.value.port)?.(now);
        waiting.delete(payload.value.port);
      }
    }
  })();
  // What ends it before its time shows as an event that does not come.
  const watched = watching.catch(() => {});

  return {
    eventAbout: (port) => new Promise((resolve) => waiting.set(port, resolve)),
    async serverPorts(backend) {
      const parent = `backends/${encodeURIComponent(backend)}`;
      const { servers } = await runtime.listServers({ parent }, { headers });
      return new Set(servers.map(({ port }) => port));
    },
    async haproxy() {
      const { version, workerPid, reloads = 0 } = await runtime.getInfo({}, { headers });
      return { version, workerPid, reloads };
    },
    async stop() {
      ending.abort();
      await watched;
    },
  };
}
