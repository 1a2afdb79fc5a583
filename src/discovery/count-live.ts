import type { Departures } from "./departures.ts";
import { liveServers, type Service } from "./service.ts";
import type { Target } from "./target.ts";

/** How many services are listed and have a backend, and how many servers are live for instances. Counts of backends that did not change are those of before. */
export function countLive(
  all: Iterable<Service>,
  target: Target,
  departures: Departures,
): { readonly services: number; readonly servers: number } {
  let services = 0;
  let servers = 0;
  for (const service of all) {
    service.live ??= countOf(service, target, departures);
    if (service.live === "none") continue;
    if (service.isListed) services++;
    servers += service.live;
  }
  return { services, servers };
}

function countOf({ backend, follower }: Service, target: Target, departures: Departures): number | "none" {
  const present = target.servers(backend);
  return present === undefined || follower.isCreating
    ? "none"
    : liveServers(present, departures.of(backend)).length;
}
