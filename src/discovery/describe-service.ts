import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type DiscoveredServerSchema,
  type DiscoveredService,
  DiscoveredServiceSchema,
  DiscoveredServerState as ServerState,
  DiscoveredServiceState as ServiceState,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import { endpoint } from "./endpoint.ts";
import { instanceName, nameInstances } from "./names.ts";
import type { Instance, LeftOut } from "./registry.ts";
import type { Service } from "./service.ts";
import { liveServers } from "./service.ts";
import { isSlot } from "./slots.ts";
import type { TargetServer } from "./target.ts";

type ServerInit = MessageInitShape<typeof DiscoveredServerSchema>;

/** What is known of a service beside the service itself. */
export interface ServiceSurroundings {
  /** The servers that its backend has; undefined when there is none. */
  readonly present: readonly TargetServer[] | undefined;
  /** Those on their way out: name → id. */
  readonly leaving: ReadonlyMap<string, number>;
  /** Names that stay although the registry does not list them. */
  readonly kept: ReadonlySet<string>;
  /** Why there is no good answer about it at present; undefined when there is one. */
  readonly failure: string | undefined;
}

/** A service that has a backend, as an answer has it. */
export function describeService(
  source: string,
  service: Service,
  around: ServiceSurroundings,
): DiscoveredService {
  const { name, backend, changedMs } = service;
  return create(DiscoveredServiceSchema, {
    name: serviceName(source, name),
    service: name,
    backend,
    ...serviceState(service, around),
    servers: [...servers(service, around)],
    ...(changedMs === undefined ? {} : { lastChangeTime: timestampFromMs(changedMs) }),
  });
}

/** A service that has none, as an answer has it. */
export function describeIgnored(source: string, service: string, reason: string): DiscoveredService {
  return create(DiscoveredServiceSchema, {
    name: serviceName(source, service),
    service,
    state: ServiceState.IGNORED,
    reason,
  });
}

/** A service that is gone and whose backend is still there, as an answer has it. */
export function describeEmptied(
  source: string,
  service: string,
  backend: string,
  referrers: readonly string[],
): DiscoveredService {
  return create(DiscoveredServiceSchema, {
    name: serviceName(source, service),
    ...{ service, backend },
    state: ServiceState.GONE,
    reason: ["emptied", ...referrers.map((referrer) => `${referrer} refers to it`)].join("; "),
  });
}

/** Resource name of a service of a source. */
export function serviceName(source: string, service: string): string {
  return `${source}/services/${encodeURIComponent(service)}`;
}

function serviceState(
  { follower, isListed, answer }: Service,
  { present, kept, failure = "" }: ServiceSurroundings,
): { state: ServiceState; reason?: string } {
  const { rejection } = follower;
  if (rejection !== undefined) return { state: ServiceState.REJECTED, reason: rejection };
  if (answer === undefined || follower.isCreating) return { state: ServiceState.PENDING, reason: failure };
  if (!isListed) {
    const reason = kept.size > 0 ? "its loss is not believed yet" : "the registry does not list it";
    return { state: ServiceState.GONE, reason };
  }
  if (present === undefined)
    return { state: ServiceState.IGNORED, reason: "none of its instances is asked for" };
  return { state: ServiceState.FOLLOWED, reason: failure };
}

function* servers(
  service: Service,
  { present = [], leaving, kept }: ServiceSurroundings,
): Generator<ServerInit> {
  const { answer = [], leftOut } = service;
  const live = new Map(liveServers(present, leaving).map((server) => [instanceName(server.name), server]));
  const slots = Map.groupBy([...live.values()].filter(isSlot), endpoint);
  for (const [name, instance] of nameInstances(answer)) {
    const server = live.get(name) ?? slots.get(endpoint(instance))?.shift();
    yield ofInstance(instance, server);
    if (server !== undefined) live.delete(instanceName(server.name));
  }
  const keptAt = new Set(
    [...service.servers].filter(([name]) => kept.has(name)).map(([, at]) => endpoint(at)),
  );
  for (const [name, server] of live) {
    if (kept.has(name) || (isSlot(server) && keptAt.has(endpoint(server))))
      yield ofServer(server, ServerState.KEPT, "its loss is not believed yet");
    else yield ofServer(server, ServerState.LEAVING, "the registry does not list it");
  }
  // The document does not have them any more, HAProxy still does.
  for (const server of leaving.keys())
    yield { server, state: ServerState.LEAVING, reason: "it finishes its connections" };
  for (const left of leftOut) yield ofLeftOut(left);
}

function ofInstance(instance: Instance, server: TargetServer | undefined): ServerInit {
  const { node, id, address, port, weight } = instance;
  const isAsDesired = server?.address === address && server.port === port && server.weight === weight;
  return {
    ...{ node, id, address, port, weight, server: server?.name ?? "" },
    state: isAsDesired ? ServerState.LIVE : ServerState.PENDING,
    reason: isAsDesired ? "" : "HAProxy has still to take it",
  };
}

function ofServer(
  { name, address, port, weight }: TargetServer,
  state: ServerState,
  reason: string,
): ServerInit {
  return { server: name, address, port, weight, state, reason };
}

const LEFT_OUT: Readonly<Record<LeftOut["kind"], ServerState>> = {
  ignored: ServerState.IGNORED,
  unhealthy: ServerState.UNHEALTHY,
  unusable: ServerState.UNUSABLE,
};

function ofLeftOut({ kind, node, id, reason }: LeftOut): ServerInit {
  return { node, id, state: LEFT_OUT[kind], reason };
}
