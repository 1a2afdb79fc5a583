import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { Address } from "./lib/address.ts";
import type { Clock } from "./lib/clock.ts";
import { ShutdownStack } from "./lib/shutdown-stack.ts";
import { readPrincipals } from "./read-principals.ts";
import type { AuditRecord } from "./rpc/audit.ts";
import { validityTroubles } from "./rpc/certificate-validity.ts";
import { createConnectListener } from "./rpc/connect.ts";
import { createEdge } from "./rpc/edge.ts";
import { createGrpcListener } from "./rpc/grpc.ts";
import type { Service } from "./rpc/handler.ts";
import type { Health } from "./rpc/health.ts";
import type { ListenAddress, Listener, ListenerPolicy } from "./rpc/listener.ts";
import { createPasswordCheck } from "./rpc/password-check.ts";
import { type ListedUsers, principalsVerifier } from "./rpc/principals.ts";
import { readTls, refusePlaintext } from "./rpc/read-tls.ts";
import type { Route } from "./rpc/routes.ts";
import type { TlsMaterial } from "./rpc/tls.ts";
import type { Settings } from "./settings/settings.ts";

/** What the edge is opened with. */
export interface OpenEdgeOptions {
  readonly settings: Settings;
  readonly tls: TlsMaterial | undefined;
  readonly paths: {
    readonly adminToken: string;
    readonly grpcSocket: string;
    readonly connectSocket: string;
  };
  readonly services: readonly Service[];
  readonly routes: readonly Route[];
  readonly health: Health;
  /** The users of a userlist of the configuration. */
  readonly listed: (userlist: string) => ListedUsers;
  readonly metrics: Registry;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told of every call that may have changed something. */
  readonly audit: (record: AuditRecord) => void;
}

/** The listeners, and who may come in by them. */
export interface OpenEdge {
  /** Where it listens, with the ports that port 0 became. */
  readonly listening: { readonly grpc: ListenAddress; readonly connect: ListenAddress };
  /**
   * Takes what may change while haplane runs: tokens, users, bindings, origins and certificates. What is open goes on. Throws a StartError, with everything as it was, when something of it cannot be used.
   */
  reload(settings: Settings): Promise<void>;
  close(graceMs: number): Promise<void>;
}

/** Reads what TLS is served with, and refuses to be reached from other machines without it. */
export async function readListening(settings: Settings): Promise<TlsMaterial | undefined> {
  if (settings.tls !== undefined) return readTls(settings.tls);
  if (!settings.allowPlaintext)
    for (const address of [settings.grpc, settings.connect]) refusePlaintext(tcp(address));
  return undefined;
}

/** Tells of certificates that clients do not accept, or soon will not: they are served all the same, for the clients that do. */
function tellOfValidity(
  settings: Settings,
  tls: TlsMaterial | undefined,
  clock: Clock,
  logger: Logger,
): void {
  if (settings.tls === undefined || tls === undefined) return;
  const served = { path: settings.tls.certificate, pem: tls.certificate };
  for (const { what } of validityTroubles(served, clock.now(), settings.certificateNoticeMs))
    logger.warn(what);
}

/** Opens the listeners over the services. */
export async function openEdge(options: OpenEdgeOptions): Promise<OpenEdge> {
  const { tls, paths, services, routes, health, metrics, clock } = options;
  const logger = options.logger.child({ part: "rpc" });
  let { settings } = options;
  let principals = await readPrincipals(settings, paths.adminToken, logger);
  const nobody: ListedUsers = { find: () => undefined, passwords: () => [] };
  const listed = () => (settings.userlist === undefined ? nobody : options.listed(settings.userlist));
  await using opening = new ShutdownStack();
  const check = createPasswordCheck();
  opening.defer(() => check.close());
  const { limits } = settings;
  const trail = options.logger.child({ part: "audit" });
  const edge = createEdge({
    audit(record) {
      trail.info(record, "change");
      options.audit(record);
    },
    ...{ services, health, metrics, clock, limits, log: logger },
    verify: principalsVerifier({
      principals: () => principals,
      listed: { find: (name) => listed().find(name), passwords: () => listed().passwords() },
      ...{ check, clock },
    }),
  });
  const policy: ListenerPolicy = { authentication: "token", reflection: settings.reflection };
  const origins = () => settings.corsOrigins;
  const listeners: Listener[] = [];
  let grace = 0;
  opening.defer(async () => {
    await Promise.all(listeners.map((listener) => listener.close(grace)));
  });
  const listen = async (listener: Promise<Listener>): Promise<ListenAddress> => {
    const bound = await listener;
    listeners.push(bound);
    return bound.address;
  };
  const common = { policy, limits };
  const unix = (path: string): ListenAddress => ({ kind: "unix", path });
  const grpc = await listen(createGrpcListener(edge, { ...common, address: tcp(settings.grpc), tls }));
  const connect = await listen(
    createConnectListener(edge, { ...common, address: tcp(settings.connect), routes, origins, tls }),
  );
  await listen(createGrpcListener(edge, { ...common, address: unix(paths.grpcSocket) }));
  await listen(
    createConnectListener(edge, { ...common, address: unix(paths.connectSocket), routes, origins }),
  );

  tellOfValidity(settings, tls, clock, logger);
  const open = opening.move();
  return {
    listening: { grpc, connect },
    async reload(next) {
      const renewed = next.tls === undefined ? undefined : await readTls(next.tls);
      const known = await readPrincipals(next, paths.adminToken, logger);
      if (renewed !== undefined) for (const listener of listeners) listener.renew(renewed);
      tellOfValidity(next, renewed, clock, logger);
      principals = known;
      settings = next;
    },
    async close(graceMs) {
      grace = graceMs;
      await open.stop();
    },
  };
}

function tcp({ host, port }: Address): ListenAddress {
  return { kind: "tcp", host, port };
}
