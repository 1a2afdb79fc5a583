import type { DescMethod } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { Health as HealthService } from "../../gen/health/v1/health_pb.js";
import type { Clock } from "../lib/clock.ts";
import type { AuditRecord } from "./audit.ts";
import { type Access, type GateKeeping, requiredRole, type Verifier } from "./auth.ts";
import { boundRequests, type StreamLimits } from "./bound-requests.ts";
import type { BoundMethod } from "./call.ts";
import { countFailedAttempts } from "./failed-attempts.ts";
import type { Service } from "./handler.ts";
import { type Health, healthService } from "./health.ts";
import { createRpcMetrics, type RpcMetrics } from "./metrics.ts";
import { countPeerCalls, type PeerCalls } from "./peer-calls.ts";
import { reflectionServices } from "./reflection.ts";

/** What the edge is built from. */
export interface EdgeOptions {
  /** The services of haplane; each method must carry a role. Health and reflection are added by the edge. */
  readonly services: readonly Service[];
  readonly health: Health;
  readonly verify: Verifier;
  readonly log: Logger;
  readonly metrics: Registry;
  readonly clock: Clock;
  /** Told of every call that was to change something, when it has ended. */
  readonly audit: (record: AuditRecord) => void;
  readonly limits?: Partial<EdgeLimits>;
}

/** What a peer may use over all listeners. Each has a default. */
export interface EdgeLimits extends StreamLimits {
  /** Different wrong passwords, and as many wrong tokens, that an address may send before it has to wait. Default 10. */
  readonly maxFailedLogins: number;
  /** Calls at once of one address. Default 20,000. */
  readonly maxCallsPerPeer: number;
}

const DEFAULT_LIMITS: EdgeLimits = {
  maxFailedLogins: 10,
  maxCallsPerPeer: 20_000,
  maxUploadBytes: 16 * 1024 ** 3,
  uploadIdleMs: 60_000,
};

/** What all listeners share: methods, credentials, log and metrics. */
export interface Edge extends GateKeeping {
  readonly methods: readonly BoundMethod[];
  readonly peerCalls: PeerCalls;
  readonly audit: (record: AuditRecord) => void;
  readonly log: Logger;
  readonly metrics: RpcMetrics;
}

/** Builds the edge. Throws when a method names no role. */
export function createEdge(options: EdgeOptions): Edge {
  const reflected = [...options.services.map(({ desc }) => desc), HealthService];
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const metrics = createRpcMetrics(options.metrics);
  return {
    methods: [
      ...bind(options.services, requiredRole).map((method) => bounded(method, limits)),
      ...bind([healthService(options.health)], () => ({ kind: "health" })),
      ...bind(reflectionServices(reflected), () => ({ kind: "reflection" })),
    ],
    verify: options.verify,
    attempts: countFailedAttempts(limits.maxFailedLogins, options.clock),
    refused: metrics.refused,
    peerCalls: countPeerCalls(limits.maxCallsPerPeer),
    audit: options.audit,
    log: options.log,
    metrics,
  };
}

/** The method with its client's stream bounded: an upload may not go on or rest for ever. */
function bounded(method: BoundMethod, limits: StreamLimits): BoundMethod {
  if (method.desc.methodKind !== "client_streaming") return method;
  const { handler } = method;
  return {
    ...method,
    handler: (requests, context) =>
      handler(boundRequests(requests as AsyncIterable<unknown>, limits), context),
  };
}

function bind(services: readonly Service[], accessOf: (method: DescMethod) => Access): BoundMethod[] {
  return services.flatMap(({ desc, handlers, names }) =>
    desc.methods.map((method) => {
      const handler = handlers[method.localName];
      const name = `${desc.typeName}/${method.name}`;
      if (handler === undefined) throw new Error(`method ${name} has no handler`);
      return { desc: method, name, access: accessOf(method), handler, names };
    }),
  );
}
