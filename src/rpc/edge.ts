import type { DescMethod } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { Health as HealthService } from "../../gen/health/v1/health_pb.js";
import { type Access, requiredRole, type Verifier } from "./auth.ts";
import type { BoundMethod } from "./call.ts";
import type { Service } from "./handler.ts";
import { type Health, healthService } from "./health.ts";
import { createRpcMetrics, type RpcMetrics } from "./metrics.ts";
import { reflectionServices } from "./reflection.ts";

/** What the edge is built from. */
export interface EdgeOptions {
  /** The services of haplane; each method must carry a role. Health and reflection are added by the edge. */
  readonly services: readonly Service[];
  readonly health: Health;
  readonly verify: Verifier;
  readonly log: Logger;
  readonly metrics: Registry;
}

/** What all listeners share: methods, credentials, log and metrics. */
export interface Edge {
  readonly methods: readonly BoundMethod[];
  readonly verify: Verifier;
  readonly log: Logger;
  readonly metrics: RpcMetrics;
}

/** Builds the edge. Throws when a method names no role. */
export function createEdge(options: EdgeOptions): Edge {
  const reflected = [...options.services.map(({ desc }) => desc), HealthService];
  return {
    methods: [
      ...bind(options.services, requiredRole),
      ...bind([healthService(options.health)], () => ({ kind: "health" })),
      ...bind(reflectionServices(reflected), () => ({ kind: "reflection" })),
    ],
    verify: options.verify,
    log: options.log,
    metrics: createRpcMetrics(options.metrics),
  };
}

function bind(services: readonly Service[], accessOf: (method: DescMethod) => Access): BoundMethod[] {
  return services.flatMap(({ desc, handlers }) =>
    desc.methods.map((method) => {
      const handler = handlers[method.localName];
      const name = `${desc.typeName}/${method.name}`;
      if (handler === undefined) throw new Error(`method ${name} has no handler`);
      return { desc: method, name, access: accessOf(method), handler };
    }),
  );
}
