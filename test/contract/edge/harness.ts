import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import { Role } from "../../../gen/haplane/v1/options_pb.js";
import { systemClock } from "../../../src/lib/clock.ts";
import type { AuditRecord } from "../../../src/rpc/audit.ts";
import { anyVerifier, certificateVerifier, hashToken, tokenVerifier } from "../../../src/rpc/auth.ts";
import { createConnectListener } from "../../../src/rpc/connect.ts";
import { createEdge, type EdgeLimits } from "../../../src/rpc/edge.ts";
import { createGrpcListener } from "../../../src/rpc/grpc.ts";
import { createHealth, type Health } from "../../../src/rpc/health.ts";
import type { ListenAddress, Listener, ListenerLimits, ListenerPolicy } from "../../../src/rpc/listener.ts";
import type { Route } from "../../../src/rpc/routes.ts";
import type { TlsMaterial } from "../../../src/rpc/tls.ts";
import { defaultHandlers, type EchoHandlers, echoService } from "./echo.ts";

/** Where the test edge listens. */
export interface Places {
  readonly grpc: ListenAddress;
  readonly grpcSocket: ListenAddress;
  readonly connect: ListenAddress;
  readonly connectSocket: ListenAddress;
}

/** The edge with a test service, on all four kinds of listener. */
export interface TestEdge {
  readonly places: Places;
  /** What the service does; a test puts its own functions in. */
  readonly handlers: EchoHandlers;
  readonly health: Health;
  /** The lines of the log. */
  readonly log: readonly LogLine[];
  /** The records of what was to be changed. */
  readonly audited: readonly AuditRecord[];
  /** A sample of the metrics, by name and some of its labels; several are added up. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
  /** Closes all listeners, gracefully, within `graceMs` (default 0). Once is enough. */
  close(graceMs?: number): Promise<void>;
}

/** A line of the log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** What can be different in a test. */
export interface TestEdgeOptions {
  readonly policy?: ListenerPolicy;
  /** For the sockets; default as for the others. */
  readonly socketPolicy?: ListenerPolicy;
  readonly limits?: Partial<ListenerLimits>;
  readonly edgeLimits?: Partial<EdgeLimits>;
  /** Origins of pages that may call. */
  readonly origins?: readonly string[];
  /** For the TCP listeners. */
  readonly tls?: TlsMaterial;
}

/** The credentials that the test edge knows. */
export const tokens = { admin: "admin-token", operator: "operator-token", viewer: "viewer-token" } as const;

/** Starts an edge on free ports of 127.0.0.1 and on sockets in a directory of its own. */
export async function startEdge(options: TestEdgeOptions = {}): Promise<TestEdge> {
  const dir = mkdtempSync(join(tmpdir(), "haplane-edge-"));
  const handlers = defaultHandlers();
  const health = createHealth();
  health.set("", "SERVING");
  const registry = new Registry();
  const log: LogLine[] = [];
  const audited: AuditRecord[] = [];
  const edge = createEdge({
    services: [echoService(handlers)],
    health,
    verify: anyVerifier([
      certificateVerifier(() => Role.EDITOR),
      tokenVerifier([
        { caller: { name: "ann", role: Role.ADMIN }, sha256: hashToken(tokens.admin) },
        { caller: { name: "oli", role: Role.OPERATOR }, sha256: hashToken(tokens.operator) },
        { caller: { name: "vic", role: Role.VIEWER }, sha256: hashToken(tokens.viewer) },
      ]),
    ]),
    log: pino({ level: "trace" }, { write: (line: string) => log.push(JSON.parse(line)) }),
    metrics: registry,
    clock: systemClock,
    audit: (record) => audited.push(record),
    limits: { maxFailedLogins: 1_000_000, ...options.edgeLimits },
  });
  const routes: Route[] = [
    {
      path: "/metrics",
      access: { kind: "role", role: Role.VIEWER },
      handle: async () => ({
        status: 200,
        contentType: registry.contentType,
        body: await registry.metrics(),
      }),
    },
    {
      path: "/healthz",
      access: { kind: "health" },
      handle: async () => ({ status: 200, contentType: "text/plain", body: `${health.get("")}\n` }),
    },
    {
      path: "/broken",
      access: { kind: "health" },
      handle: () => Promise.reject(new Error("hunter2")),
    },
  ];

  const policy: ListenerPolicy = options.policy ?? { authentication: "token" };
  const socketPolicy = options.socketPolicy ?? policy;
  const limits = options.limits ?? {};
  const tcp: ListenAddress = { kind: "tcp", host: "127.0.0.1", port: 0 };
  const unix = (name: string): ListenAddress => ({ kind: "unix", path: join(dir, name) });
  const listeners: [Listener, Listener, Listener, Listener] = await Promise.all([
    createGrpcListener(edge, { address: tcp, policy, limits, tls: options.tls }),
    createGrpcListener(edge, { address: unix("grpc.sock"), policy: socketPolicy, limits }),
    createConnectListener(edge, {
      ...{ address: tcp, policy, limits, routes },
      ...{ tls: options.tls, origins: () => options.origins ?? [] },
    }),
    createConnectListener(edge, { address: unix("connect.sock"), policy: socketPolicy, limits, routes }),
  ]);
  const [grpc, grpcSocket, connect, connectSocket] = listeners.map(({ address }) => address) as [
    ListenAddress,
    ListenAddress,
    ListenAddress,
    ListenAddress,
  ];
  let closed: Promise<unknown> | undefined;
  return {
    places: { grpc, grpcSocket, connect, connectSocket },
    handlers,
    health,
    log,
    audited,
    async metric(name, labels = {}) {
      const found = await registry.getSingleMetric(name)?.get();
      const samples = found?.values.filter((sample) =>
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
      );
      return (samples ?? []).reduce((sum, { value }) => sum + value, 0);
    },
    async close(graceMs = 0) {
      closed ??= Promise.all(listeners.map((listener) => listener.close(graceMs)));
      await closed;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
