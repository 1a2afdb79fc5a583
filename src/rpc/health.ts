import { create } from "@bufbuild/protobuf";
import {
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  Health as HealthService,
  HealthCheckResponse_ServingStatus as Wire,
} from "../../gen/health/v1/health_pb.js";
import { DomainError } from "../lib/errors.ts";
import { type Service, service } from "./handler.ts";

/** Whether a service can do its job. */
export type ServingStatus = "SERVING" | "NOT_SERVING";

/** The serving status of every service, by full name; `""` is the process as a whole. */
export interface Health {
  /** Sets a status and tells those who watch it. */
  set(service: string, status: ServingStatus): void;
  /** Forgets a service that is no more; those who watch it are told that it is unknown. */
  forget(service: string): void;
  /** The status of a service; undefined when none was ever set. */
  get(service: string): ServingStatus | undefined;
  /** Every service that has a status. */
  entries(): Iterable<readonly [string, ServingStatus]>;
  /** Calls `listener` after every change of a service's status; returns the way to stop. */
  subscribe(service: string, listener: () => void): () => void;
}

/** Health without any status yet. */
export function createHealth(): Health {
  const statuses = new Map<string, ServingStatus>();
  const listeners = new Map<string, Set<() => void>>();
  return {
    set(name, status) {
      if (statuses.get(name) === status) return;
      statuses.set(name, status);
      for (const listener of listeners.get(name) ?? []) listener();
    },
    forget(name) {
      statuses.delete(name);
      for (const listener of listeners.get(name) ?? []) listener();
    },
    get: (name) => statuses.get(name),
    entries: () => statuses.entries(),
    subscribe(name, listener) {
      const set = listeners.get(name) ?? new Set();
      listeners.set(name, set.add(listener));
      return () => {
        set.delete(listener);
        if (set.size === 0) listeners.delete(name);
      };
    },
  };
}

/** `grpc.health.v1.Health` over these statuses. */
export function healthService(health: Health): Service {
  return service(HealthService, {
    async check({ service: name }) {
      const status = health.get(name);
      if (status === undefined) {
        const resource = { type: "service", name };
        throw new DomainError("RESOURCE_NOT_FOUND", "there is no such service", { resource });
      }
      return response(status);
    },
    async list() {
      const statuses = Object.fromEntries(
        [...health.entries()].map(([name, status]) => [name, response(status)]),
      );
      return { statuses };
    },
    async *watch({ service: name }, { signal }) {
      let wake = () => {};
      const stop = health.subscribe(name, () => wake());
      signal.addEventListener("abort", () => {
        stop();
        wake();
      });
      try {
        for (let sent: ServingStatus | "UNKNOWN" | undefined; !signal.aborted; ) {
          const status = health.get(name) ?? "UNKNOWN";
          if (status !== sent) yield response(status);
          sent = status;
          if ((health.get(name) ?? "UNKNOWN") === sent && !signal.aborted) {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
        }
      } finally {
        stop();
      }
    },
  });
}

function response(status: ServingStatus | "UNKNOWN"): HealthCheckResponse {
  const wire = { SERVING: Wire.SERVING, NOT_SERVING: Wire.NOT_SERVING, UNKNOWN: Wire.SERVICE_UNKNOWN };
  return create(HealthCheckResponseSchema, { status: wire[status] });
}
