import { isIP } from "node:net";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { ProcessState } from "../../gen/haplane/v1/events_pb.js";
import { AdminState, OperationalState, Runtime, type ServerSchema } from "../../gen/haplane/v1/runtime_pb.js";
import type { Commit } from "../commit/commit.ts";
import { formatName, parseName } from "../config/name.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { Scalar } from "../haproxy/scalar.ts";
import type { AdminState as RuntimeAdminState, ServerChange } from "../haproxy/server-change.ts";
import type { ServerState } from "../haproxy/server-states.ts";
import { createStatsFeed } from "../haproxy/stats-feed.ts";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import { checkFields, type FieldChecks, fieldsInvalid } from "../rpc/fields.ts";
import { type Service, service } from "../rpc/handler.ts";
import { paginate } from "../rpc/page-token.ts";
import type { Reloads } from "../store/store.ts";
import { processStateOf } from "./process-event.ts";
import { getReload, listReloads, reloadNow } from "./runtime-reloads.ts";
import { listStats, watchStats } from "./runtime-stats.ts";

/** HAProxy's own words for an address; names, sockets and zones are for the configuration. */
function checkAddress(address: string): void {
  if (isIP(address) !== 0 && !address.includes("%")) return;
  throw fieldsInvalid([{ field: "address", description: "must be an IPv4 or IPv6 address without a zone" }]);
}

function checkAdminState(state: AdminState): void {
  if (AdminState[state] !== undefined) return;
  throw fieldsInvalid([
    {
      field: "admin_state",
      description: "must be ADMIN_STATE_READY, ADMIN_STATE_DRAIN or ADMIN_STATE_MAINT",
    },
  ]);
}

const SERVER = "backends/{backend}/servers/{server}";
const BACKEND = "backends/{backend}";
/** AIP-159: a dash reads across all parents. */
const ALL = "-";
const DRAIN_MS = { default: 10_000, max: 3_600_000 };

/** `haplane.v1.Runtime` over the running HAProxy, what is configured, and the record of reloads. */
export function runtimeService(
  haproxy: Haproxy,
  configuration: Pick<Commit, "isConfigured" | "reload">,
  reloads: Reloads,
  clock: Clock,
): Service {
  const { runtime } = haproxy;

  const toServer = (state: ServerState): MessageInitShape<typeof ServerSchema> => ({
    name: formatName("backends", state.backend, "servers", state.server),
    address: state.address,
    port: state.port,
    weight: state.weight,
    adminState: adminStateOf(state),
    operationalState: OPERATIONAL[state.operational],
    id: state.serverId,
    configured: configuration.isConfigured(state.backend, state.server),
  });

  const readServer = async (backend: string, server: string, signal: AbortSignal) => {
    const states = await serverStates(haproxy, backend, signal);
    const state = states.find((candidate) => candidate.server === server);
    if (state === undefined) throw notFound("server", formatName("backends", backend, "servers", server));
    return toServer(state);
  };

  const feed = createStatsFeed((options) => runtime.stats(options), clock);

  const change = async (one: ServerChange, signal: AbortSignal): Promise<void> => {
    const [outcome] = await runtime.applyServers([one], { signal });
    if (outcome !== undefined && !outcome.ok) throw outcome.error;
  };

  return service(Runtime, {
    async getInfo(_request, { signal }) {
      const info = await runtime.info({ signal });
      const { state } = haproxy;
      const running = state.kind === "running" ? state : undefined;
      return {
        version: info.version.text,
        masterPid: running?.masterPid ?? 0,
        workerPid: info.pid,
        uptime: durationFromMs(info.uptimeSeconds * 1_000),
        ...(running !== undefined && { reloads: running.reloads }),
        state: info.stopping ? ProcessState.DOWN : processStateOf(state),
        fields: asText(info.fields),
      };
    },

    listStats: (request, { signal }) => listStats(feed, request, signal),

    watchStats: (request, { signal }) => watchStats(feed, request, signal),

    async listServers(request, { signal }) {
      const [backend] = parseName(request.parent, BACKEND, "parent") as [string];
      const states = await serverStates(haproxy, backend === ALL ? undefined : backend, signal);
      const { items, nextPageToken } = paginate(states, request, {
        defaultSize: 1_000,
        maxSize: 10_000,
        key: (state) => formatName("backends", state.backend, "servers", state.server),
      });
      return { servers: items.map(toServer), nextPageToken };
    },

    async getServer(request, { signal }) {
      const [backend, server] = parseName(request.name, SERVER, "name") as [string, string];
      return { server: await readServer(backend, server, signal) };
    },

    async addServer(request, { signal }) {
      const [backend, server] = parseName(request.name, SERVER, "name") as [string, string];
      checkFields((check) => {
        check.required("address", request.address);
        check.range("port", request.port, 1, 65535);
        checkWeight(check, request.weight);
      });
      checkAddress(request.address);
      checkAdminState(request.adminState);
      const words = [
        ...(request.weight === undefined ? [] : ["weight", String(request.weight)]),
        ...(request.check ? ["check"] : []),
      ];
      const state = RUNTIME_ADMIN[request.adminState];
      await change(
        {
          kind: "add",
          backend,
          server,
          address: request.address,
          port: request.port,
          words,
          ...(state && { state }),
        },
        signal,
      );
      return { server: await readServer(backend, server, signal) };
    },

    async setServer(request, { signal }) {
      const [backend, server] = parseName(request.name, SERVER, "name") as [string, string];
      checkFields((check) => {
        if (request.port !== undefined) check.range("port", request.port, 1, 65535);
        if (request.address !== undefined) check.required("address", request.address);
        checkWeight(check, request.weight);
      });
      if (request.address !== undefined) checkAddress(request.address);
      checkAdminState(request.adminState);
      const current = await readServer(backend, server, signal);
      const moves = request.address !== undefined || request.port !== undefined;
      const state = RUNTIME_ADMIN[request.adminState];
      await change(
        {
          kind: "set",
          backend,
          server,
          ...(moves && { address: request.address ?? current.address, port: request.port ?? current.port }),
          ...(request.weight !== undefined && { weight: request.weight }),
          ...(state && { state }),
        },
        signal,
      );
      return { server: await readServer(backend, server, signal) };
    },

    async deleteServer(request, { signal }) {
      const [backend, server] = parseName(request.name, SERVER, "name") as [string, string];
      const drainMs = checkFields((check) =>
        check.duration("drain_timeout", request.drainTimeout, DRAIN_MS.default, 0, DRAIN_MS.max),
      );
      await change({ kind: "delete", backend, server, drainMs, shutdownSessions: request.force }, signal);
      return {};
    },

    reload: () => reloadNow(configuration, reloads),

    listReloads: (request) => listReloads(reloads, request),

    getReload: ({ name }) => getReload(reloads, name),
  });
}

async function serverStates(haproxy: Haproxy, backend: string | undefined, signal: AbortSignal) {
  try {
    return await haproxy.runtime.serverStates(backend, { signal });
  } catch (error) {
    if (backend !== undefined && error instanceof DomainError && error.reason === "HAPROXY_REFUSED") {
      throw notFound("backend", formatName("backends", backend), error);
    }
    throw error;
  }
}

function checkWeight(check: FieldChecks, weight: number | undefined): void {
  if (weight !== undefined) check.range("weight", weight, 0, 256);
}

function notFound(type: string, name: string, cause?: unknown): DomainError {
  return new DomainError("RESOURCE_NOT_FOUND", `the running HAProxy has no ${name}`, {
    resource: { type, name },
    cause,
  });
}

const OPERATIONAL: Record<ServerState["operational"], OperationalState> = {
  stopped: OperationalState.STOPPED,
  starting: OperationalState.STARTING,
  running: OperationalState.RUNNING,
  stopping: OperationalState.STOPPING,
};

const RUNTIME_ADMIN: Record<AdminState, RuntimeAdminState | undefined> = {
  [AdminState.UNSPECIFIED]: undefined,
  [AdminState.READY]: "ready",
  [AdminState.DRAIN]: "drain",
  [AdminState.MAINT]: "maint",
};

function adminStateOf({ admin }: ServerState): AdminState {
  if (admin.forcedMaint || admin.inheritedMaint || admin.unresolved) return AdminState.MAINT;
  return admin.forcedDrain || admin.inheritedDrain ? AdminState.DRAIN : AdminState.READY;
}

function asText(values: Readonly<Record<string, Scalar>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
}
