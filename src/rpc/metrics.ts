import { monitorEventLoopDelay } from "node:perf_hooks";
import { status as Code } from "@grpc/grpc-js";
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { DomainError } from "../lib/errors.ts";
import type { Call, CallEnd } from "./call.ts";
import type { ConnectionLimit } from "./http2-sessions.ts";

/** Counts what goes through the edge. Names and labels are documented in docs/metrics.md. */
export interface RpcMetrics {
  began(call: Call): void;
  ended(call: Call, end: CallEnd): void;
  connectionOpened(listener: string): void;
  connectionClosed(listener: string): void;
  connectionRefused(listener: string): void;
  /** An open connection was ended because of a limit. */
  connectionEnded(listener: string, limit: ConnectionLimit): void;
  /** Credentials were wrong. */
  readonly refused: (scheme: string) => void;
}

/** Registers the edge's metrics and the event loop's delay. */
export function createRpcMetrics(registry: Registry): RpcMetrics {
  const registers = [registry];
  const handled = new Counter({
    name: "haplane_rpc_handled_total",
    help: "Calls that have ended, by protocol, method and code.",
    labelNames: ["protocol", "method", "code"],
    registers,
  });
  const duration = new Histogram({
    name: "haplane_rpc_duration_seconds",
    help: "Time from a unary call's headers to its status, by protocol and method.",
    labelNames: ["protocol", "method"],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const inFlight = new Gauge({
    name: "haplane_rpc_in_flight",
    help: "Calls that have begun and not ended, by protocol and method.",
    labelNames: ["protocol", "method"],
    registers,
  });
  const connections = new Gauge({
    name: "haplane_connections",
    help: "Open connections, by listener.",
    labelNames: ["listener"],
    registers,
  });
  const refused = new Counter({
    name: "haplane_connections_refused_total",
    help: "Connections closed at once because the listener had as many as it may, by listener.",
    labelNames: ["listener"],
    registers,
  });
  const ended = new Counter({
    name: "haplane_connections_ended_total",
    help: "HTTP/2 connections that haplane ended, by listener and limit: max_streams, keepalive_timeout, handshake (no settings came in time), protocol (not HTTP/2, or a flood).",
    labelNames: ["listener", "limit"],
    registers,
  });
  const failures = new Counter({
    name: "haplane_authentication_failures_total",
    help: "Wrong credentials, by scheme: bearer, basic, certificate.",
    labelNames: ["scheme"],
    registers,
  });
  const limited = new Counter({
    name: "haplane_rpc_limited_total",
    help: "Calls refused with LIMIT_EXCEEDED, by the limit that they met: the name of its setting where it has one.",
    labelNames: ["limit"],
    registers,
  });
  registerEventLoopDelay(registers);

  return {
    began({ protocol, method }) {
      inFlight.inc({ protocol, method: method.name });
    },
    ended({ protocol, method }, { code, error, durationMs }) {
      if (error instanceof DomainError && error.reason === "LIMIT_EXCEEDED")
        limited.inc({ limit: error.metadata.limit ?? "other" });
      inFlight.dec({ protocol, method: method.name });
      handled.inc({ protocol, method: method.name, code: Code[code] });
      if (method.desc.methodKind === "unary") {
        duration.observe({ protocol, method: method.name }, durationMs / 1_000);
      }
    },
    connectionOpened: (listener) => connections.inc({ listener }),
    connectionClosed: (listener) => connections.dec({ listener }),
    connectionRefused: (listener) => refused.inc({ listener }),
    connectionEnded: (listener, limit) => ended.inc({ listener, limit }),
    refused: (scheme) => failures.inc({ scheme }),
  };
}

/** The delay of the event loop since the metrics were last read: what a call waits before anybody looks at it. */
function registerEventLoopDelay(registers: Registry[]): void {
  // Each sample is the time between two timers of so many milliseconds; what exceeds it is delay. More samples would be most of what an idle process costs.
  const resolution = 250;
  const delay = monitorEventLoopDelay({ resolution });
  delay.enable();
  new Gauge({
    name: "haplane_event_loop_delay_seconds",
    help: "Delay of the event loop since the last scrape, by quantile.",
    labelNames: ["quantile"],
    registers,
    collect() {
      for (const quantile of [0.5, 0.9, 0.99, 1]) {
        const ms = delay.count === 0 ? 0 : delay.percentile(quantile * 100) / 1e6 - resolution;
        this.set({ quantile }, Math.max(0, ms) / 1e3);
      }
      delay.reset();
    },
  });
}
