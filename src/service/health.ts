import { Events } from "../../gen/haplane/v1/events_pb.js";
import { Runtime } from "../../gen/haplane/v1/runtime_pb.js";
import { ServiceDiscovery } from "../../gen/haplane/v1/service_discovery_pb.js";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { Clock } from "../lib/clock.ts";
import type { Health } from "../rpc/health.ts";
import type { Route } from "../rpc/routes.ts";
import type { Store } from "../store/store.ts";

/** The store does not tell when its health changes; it is looked at this often. */
const STORE_LOOK_MS = 1_000;

/** What the statuses follow. */
export interface HealthSources {
  readonly haproxy: Haproxy;
  readonly store: Store;
  readonly clock: Clock;
}

/**
 * Keeps the serving statuses true: `Runtime` follows HAProxy, what has to be durable follows the store, and the process as a whole (`""`) serves as long as it is there.
 * Returns the way to stop, after which nothing serves.
 */
export function keepHealth(health: Health, { haproxy, store, clock }: HealthSources): () => void {
  const followHaproxy = () => {
    health.set(Runtime.typeName, haproxy.state.kind === "running" ? "SERVING" : "NOT_SERVING");
  };
  let cancel = () => {};
  const followStore = () => {
    const status = store.health.state === "available" ? "SERVING" : "NOT_SERVING";
    for (const { typeName } of [ServiceDiscovery, Events]) health.set(typeName, status);
    cancel = clock.after(STORE_LOOK_MS, followStore);
  };
  health.set("", "SERVING");
  followHaproxy();
  followStore();
  const unsubscribe = haproxy.subscribe(followHaproxy);
  return () => {
    unsubscribe();
    cancel();
    for (const [service] of [...health.entries()]) health.set(service, "NOT_SERVING");
  };
}

/** `/healthz`: whether haplane serves, and nothing else. */
export function healthRoute(health: Health): Route {
  return {
    path: "/healthz",
    access: { kind: "health" },
    async handle() {
      const status = health.get("") ?? "NOT_SERVING";
      return {
        status: status === "SERVING" ? 200 : 503,
        contentType: "text/plain; charset=utf-8",
        body: `${status}\n`,
      };
    },
  };
}
