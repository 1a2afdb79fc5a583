import { Events } from "../../gen/haplane/v1/events_pb.js";
import { Runtime } from "../../gen/haplane/v1/runtime_pb.js";
import { ServiceDiscovery, SourceState } from "../../gen/haplane/v1/service_discovery_pb.js";
import type { Sources } from "../discovery/sources.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { Health } from "../rpc/health.ts";
import type { Route } from "../rpc/routes.ts";
import type { Store } from "../store/store.ts";

/** States of a source that is as it should be; one that is disabled is so on purpose. */
const WELL: ReadonlySet<SourceState> = new Set([
  SourceState.SYNCED,
  SourceState.SYNCING,
  SourceState.DISABLED,
]);

/** What the statuses follow. */
export interface HealthSources {
  readonly haproxy: Haproxy;
  readonly store: Store;
  readonly sources: Pick<Sources, "list" | "subscribe">;
}

/** Parts that have a status of their own beside the services'. */
const PARTS = { haproxy: "haproxy", store: "store" };

/**
 * Keeps the serving statuses true: the process as a whole (`""`) serves as long as it is there; `haproxy`, `store` and each source by its name (`sources/local`) have their own; `Runtime` follows HAProxy, and
 * what has to be durable follows the store. Returns the way to stop, after which nothing serves.
 */
export function keepHealth(health: Health, { haproxy, store, sources }: HealthSources): () => void {
  const followHaproxy = () => {
    const status = haproxy.state.kind === "running" ? "SERVING" : "NOT_SERVING";
    for (const name of [PARTS.haproxy, Runtime.typeName]) health.set(name, status);
  };
  const followSources = () => {
    const listed = new Map(sources.list().map(({ name, status }) => [name, status?.state]));
    for (const [name] of [...health.entries()])
      if (name.startsWith("sources/") && !listed.has(name)) health.forget(name);
    for (const [name, state] of listed)
      health.set(name, state !== undefined && WELL.has(state) ? "SERVING" : "NOT_SERVING");
  };
  const followStore = () => {
    const status = store.health.state === "available" ? "SERVING" : "NOT_SERVING";
    for (const name of [PARTS.store, ServiceDiscovery.typeName, Events.typeName]) health.set(name, status);
  };
  health.set("", "SERVING");
  followHaproxy();
  followStore();
  followSources();
  const leaveStore = store.subscribeHealth(followStore);
  const leaveSources = sources.subscribe(followSources);
  const unsubscribe = haproxy.subscribe(followHaproxy);
  return () => {
    unsubscribe();
    leaveSources();
    leaveStore();
    for (const [service] of [...health.entries()]) health.set(service, "NOT_SERVING");
  };
}

/** `/healthz`: whether haplane serves, or with `?service=NAME` what gRPC health says of that name, and nothing else. */
export function healthRoute(health: Health): Route {
  return {
    path: "/healthz",
    access: { kind: "health" },
    async handle(query) {
      const service = query.get("service") ?? "";
      const status = health.get(service) ?? (service === "" ? "NOT_SERVING" : "SERVICE_UNKNOWN");
      return {
        status: { SERVING: 200, NOT_SERVING: 503, SERVICE_UNKNOWN: 404 }[status],
        contentType: "text/plain; charset=utf-8",
        body: `${status}\n`,
      };
    },
  };
}
