import { stat } from "node:fs/promises";
import { Gauge, type Registry } from "prom-client";
import { Role } from "../../gen/haplane/v1/options_pb.js";
import { SourceState } from "../../gen/haplane/v1/service_discovery_pb.js";
import type { Commit } from "../commit/commit.ts";
import type { Sources } from "../discovery/sources.ts";
import type { EventHub } from "../events/event-hub.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { Route } from "../rpc/routes.ts";
import type { Storage } from "../storage/storage.ts";
import type { Store } from "../store/store.ts";

/** The parts that metrics are read from. */
export interface MetricsSources {
  readonly haproxy: Haproxy;
  readonly commit: Commit;
  readonly sources: Sources;
  readonly hub: EventHub;
  readonly storage: Pick<Storage, "expiries">;
  readonly store: Store;
  /** The database of the store. */
  readonly database: string;
}

/** States of a source that does not get what it asks for. */
const LAGGING: ReadonlySet<SourceState> = new Set([
  SourceState.STALE,
  SourceState.RETRYING,
  SourceState.REJECTED,
]);

/** Registers what haplane knows of itself beside its calls. Everything is read when it is asked for. Names are documented in docs/metrics.md. */
export function registerMetrics(
  registry: Registry,
  { haproxy, commit, sources, hub, storage, store, database }: MetricsSources,
): void {
  const gauge = (name: string, help: string, read: () => number) => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  const running = () => (haproxy.state.kind === "running" ? haproxy.state : undefined);
  gauge("haplane_haproxy_up", "1 while an HAProxy worker answers, else 0.", () => (running() ? 1 : 0));
  gauge(
    "haplane_haproxy_reloads",
    "Reloads since the HAProxy master was started, by its own count.",
    () => running()?.reloads ?? 0,
  );
  gauge(
    "haplane_haproxy_old_workers",
    "Workers of earlier configurations that still finish their connections.",
    () => running()?.oldWorkerPids.length ?? 0,
  );
  gauge(
    "haplane_revision",
    "Number of the newest durable revision of the configuration.",
    () => store.newestRevision,
  );
  gauge(
    "haplane_commit_lag_seconds",
    "How long live changes have not been in the configuration file because it could not be written; 0 when they are.",
    () => (commit.status.lagging === undefined ? 0 : (Date.now() - commit.status.lagging.since) / 1_000),
  );
  gauge(
    "haplane_file_held",
    "1 while HAProxy refuses an edit of the file by hand, so that nothing is written; else 0.",
    () => (commit.status.held ? 1 : 0),
  );
  gauge("haplane_store_up", "1 while history can be written, else 0.", () =>
    store.health.state === "available" ? 1 : 0,
  );
  gauge("haplane_watchers", "Open event streams.", () => hub.counters.watchers);
  gauge("haplane_watchers_lagging", "Open event streams whose reader is behind.", () => hub.counters.lagging);
  gauge(
    "haplane_events_published",
    "Durable events handed over since the start.",
    () => hub.counters.published,
  );

  gauge(
    "haplane_events_published_ephemeral",
    "Events handed over since the start that are not kept.",
    () => hub.counters.publishedEphemeral,
  );
  gauge(
    "haplane_watch_messages",
    "Messages handed to event streams since the start.",
    () => hub.counters.messages,
  );
  gauge(
    "haplane_watchers_ended_slow",
    "Event streams ended since the start because their reader was too slow.",
    () => hub.counters.endedSlow,
  );
  gauge(
    "haplane_watch_tail_bytes",
    "Recent events that are held for readers that are behind, all together.",
    () => hub.counters.tailBytes,
  );
  gauge("haplane_event_log_events", "Events that are kept.", () => {
    const { newest, oldest } = store.events;
    return newest.seq - oldest + 1;
  });
  new Gauge({
    name: "haplane_store_bytes",
    help: "Size of the state database, by file: database, and wal for what is not merged into it yet.",
    labelNames: ["file"],
    registers: [registry],
    async collect() {
      for (const [file, path] of [
        ["database", database],
        ["wal", `${database}-wal`],
      ] as const)
        this.set(
          { file },
          await stat(path).then(
            ({ size }) => size,
            () => 0,
          ),
        );
    },
  });

  new Gauge({
    name: "haplane_source_state",
    help: "1 for the state that a source is in, 0 for the others.",
    labelNames: ["source", "state"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { name, status } of sources.list()) {
        for (const state of Object.values(SourceState).filter((value) => typeof value === "number")) {
          if (state !== SourceState.UNSPECIFIED)
            this.set(
              { source: name, state: SourceState[state].toLowerCase() },
              status?.state === state ? 1 : 0,
            );
        }
      }
    },
  });
  new Gauge({
    name: "haplane_source_services",
    help: "Services that a source has found and that have a backend.",
    labelNames: ["source"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { name, status } of sources.list()) this.set({ source: name }, status?.services ?? 0);
    },
  });
  new Gauge({
    name: "haplane_source_index",
    help: "The registry's index that the last good answer to a source carried.",
    labelNames: ["source"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { name, status } of sources.list()) this.set({ source: name }, Number(status?.index ?? 0));
    },
  });
  new Gauge({
    name: "haplane_source_last_success_seconds",
    help: "When the registry last gave a source a good answer, in seconds since 1970; 0 before the first.",
    labelNames: ["source"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { name, status } of sources.list())
        this.set({ source: name }, Number(status?.lastSuccessTime?.seconds ?? 0));
    },
  });
  new Gauge({
    name: "haplane_source_stale_seconds",
    help: "How long ago a source that should follow its registry last had a good answer from it, while it has none; 0 while all is well, and before the first.",
    labelNames: ["source"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { name, status } of sources.list()) {
        const since = Number(status?.lastSuccessTime?.seconds ?? 0) * 1_000;
        const behind = status !== undefined && LAGGING.has(status.state) && since > 0;
        this.set({ source: name }, behind ? Math.max(0, Date.now() - since) / 1_000 : 0);
      }
    },
  });
  new Gauge({
    name: "haplane_certificate_not_after_seconds",
    help: "When the first certificate of a stored file ends, in seconds since 1970.",
    labelNames: ["file"],
    registers: [registry],
    async collect() {
      const expiries = await storage.expiries();
      this.reset();
      for (const { facts, notAfter } of expiries) this.set({ file: facts.name }, notAfter / 1_000);
    },
  });
  new Gauge({
    name: "haplane_source_servers",
    help: "Instances that a source has found and that are live servers.",
    labelNames: ["source"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { name, status } of sources.list()) this.set({ source: name }, status?.servers ?? 0);
    },
  });
}

/** `/metrics` in Prometheus' text format. */
export function metricsRoute(registry: Registry): Route {
  return {
    path: "/metrics",
    access: { kind: "role", role: Role.VIEWER },
    async handle() {
      return { status: 200, contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}
