import { create, fromBinary } from "@bufbuild/protobuf";
import { ChangeSchema } from "../../gen/haplane/v1/configuration_pb.js";
import {
  type AddServerRequest,
  AdminState,
  type BatchSetServersRequest,
  type DeleteServerRequest,
  type ListServersRequest,
  type SetServerRequest,
} from "../../gen/haplane/v1/runtime_pb.js";
import { type Stats, StatsSchema } from "../../gen/haplane/v1/runtime_stats_pb.js";
import { formatName, parseName } from "../config/name.ts";
import type { ServerChange } from "../haproxy/server-change.ts";
import type { ServerState } from "../haproxy/server-states.ts";
import { rowKey, type StatsTable } from "../haproxy/stats-table.ts";
import { DomainError, type FieldViolation } from "../lib/errors.ts";
import { checkFields, fieldsInvalid } from "../rpc/fields.ts";
import type { CallContext } from "../rpc/handler.ts";
import { paginate } from "../rpc/page-token.ts";
import { NOT_PERSISTED, type PersistAlong, persist, requireEditor } from "./persist.ts";
import type { RuntimeTools } from "./runtime-options.ts";
import { type ServerMessage, serverMessage } from "./server-message.ts";
import {
  assertHaproxyNames,
  checkAdd,
  checkSet,
  configuredName,
  persistentSet,
  RUNTIME_ADMIN,
  type ServerPath,
  serverPath,
  setChange,
} from "./server-requests.ts";
import { statsEncoder } from "./stats-encoder.ts";

const BACKEND = "backends/{backend}";
/** AIP-159: a dash reads across all parents. */
const ALL = "-";
/** Kind, backend, server, and the one thing that is set. */
const ONE_COMMAND_KEYS = 4;
/** Of the column `type`. */
const SERVER_TYPE = 2;
const DRAIN_MS = { default: 10_000, max: 3_600_000 };

/** A page of the running servers. */
export async function listServers(tools: RuntimeTools, request: ListServersRequest, signal: AbortSignal) {
  const [backend] = parseName(request.parent, BACKEND, "parent") as [string];
  assertHaproxyNames([backend], "parent");
  const [states, table] = await Promise.all([
    serverStates(tools, backend === ALL ? undefined : backend, signal),
    tools.feed.latest(),
  ]);
  const { items, nextPageToken } = paginate(states, request, {
    defaultSize: 1_000,
    maxSize: 10_000,
    key: nameOf,
  });
  const statsOf = serverStats(table);
  const { document } = tools.commit;
  return {
    servers: items.map((state) => withStats(serverMessage(document, state), statsOf(state))),
    nextPageToken,
  };
}

/** One running server. */
export async function getServer(tools: RuntimeTools, name: string, signal: AbortSignal) {
  const path = serverPath(name, "name");
  const [state, table] = await Promise.all([readState(tools, path, signal), tools.feed.latest()]);
  return { server: withStats(serverMessage(tools.commit.document, state), serverStats(table)(state)) };
}

/** Adds a server: to the worker, or to the configuration, which the worker then follows. */
export async function addServer(
  tools: RuntimeTools,
  request: AddServerRequest,
  context: CallContext,
  along: PersistAlong,
) {
  const { signal, caller } = context;
  const path = serverPath(request.name, "name");
  checkAdd(request);
  const { address, port, weight, check, adminState } = request;
  if (request.persist) {
    requireEditor(caller);
    const server = {
      ...{ address, port },
      ...(weight !== undefined && { weight }),
      ...(check && { check }),
      ...(adminState === AdminState.MAINT && { disabled: true }),
    };
    const name = configuredName(tools.commit.document, path);
    const resource = { name, kind: { case: "server", value: server } } as const;
    const created = create(ChangeSchema, { operation: { case: "create", value: { resource } } });
    const persisted = await persist(tools.configuration, caller, [created], along);
    return { server: await readServer(tools, path, signal), ...persisted };
  }
  const words = [...(weight === undefined ? [] : ["weight", String(weight)]), ...(check ? ["check"] : [])];
  const state = RUNTIME_ADMIN[adminState];
  await changeServer(tools, { kind: "add", ...path, address, port, words, ...(state && { state }) }, signal);
  tools.commit.doubtWorker();
  return { server: await readServer(tools, path, signal) };
}

/** Changes a running server, and its line in the configuration when that is asked for. */
export async function setServer(
  tools: RuntimeTools,
  request: SetServerRequest,
  context: CallContext,
  along: PersistAlong,
) {
  const { signal, caller } = context;
  const path = serverPath(request.name, "name");
  const violations: FieldViolation[] = [];
  checkSet(request, request.persist, "", violations);
  if (violations.length > 0) throw fieldsInvalid(violations);
  if (request.persist) requireEditor(caller);
  // HAProxy sets a port along with the address only.
  const needsPresent = request.port !== undefined && request.address === undefined;
  const present = needsPresent ? await readState(tools, path, signal) : undefined;
  const persistent = request.persist ? persistentSet(tools.commit.document, path, request) : undefined;
  const persisted = persistent
    ? await persist(tools.configuration, caller, [persistent], along)
    : NOT_PERSISTED;
  // Also after it was persisted: what was set at runtime before may differ from both configurations.
  const change = setChange(path, request, present);
  // One command and the look at what it did go to HAProxy together; several are sent one after another.
  const isOneCommand = Object.keys(change).length === ONE_COMMAND_KEYS;
  const changing = changeServer(tools, change, signal);
  const reading = isOneCommand ? lookAt(tools, path) : undefined;
  // What fails first is what is told.
  reading?.catch(() => {});
  await changing;
  const state = await (reading ?? lookAt(tools, path));
  return { server: serverMessage(tools.commit.document, state), ...persisted };
}

/** Changes many servers, pipelined. */
export async function batchSetServers(
  tools: RuntimeTools,
  request: BatchSetServersRequest,
  { signal, caller }: CallContext,
  along: PersistAlong,
) {
  const { requests } = request;
  const violations: FieldViolation[] = [];
  const paths = requests.map((one, index) => {
    const prefix = `requests[${index}].`;
    checkSet(one, request.persist, prefix, violations);
    if (one.port !== undefined && one.address === undefined)
      violations.push({ field: `${prefix}address`, description: "is required beside a port" });
    return serverPath(one.name, `${prefix}name`);
  });
  if (violations.length > 0) throw fieldsInvalid(violations);
  let persisted = NOT_PERSISTED;
  if (request.persist) {
    requireEditor(caller);
    const { document } = tools.commit;
    const changes = requests.flatMap(
      (one, index) => persistentSet(document, paths[index] as ServerPath, one) ?? [],
    );
    persisted = await persist(tools.configuration, caller, changes, along);
  }
  const outcomes = await tools.haproxy.runtime.applyServers(
    requests.map((one, index) => setChange(paths[index] as ServerPath, one, undefined)),
    { signal },
  );
  const failures = outcomes.flatMap((outcome, index) =>
    outcome.ok
      ? []
      : [
          {
            ...{ index, name: requests[index]?.name ?? "" },
            reason: outcome.error.reason,
            message: outcome.error.message,
          },
        ],
  );
  return { changed: outcomes.length - failures.length, failures, ...persisted };
}

/** Takes a server out of the worker, and out of the configuration when that is asked for. */
export async function deleteServer(
  tools: RuntimeTools,
  request: DeleteServerRequest,
  context: CallContext,
  along: PersistAlong,
) {
  const { signal, caller } = context;
  const path = serverPath(request.name, "name");
  const drainMs = checkFields((check) =>
    check.duration("drain_timeout", request.drainTimeout, DRAIN_MS.default, 0, DRAIN_MS.max),
  );
  const removal: ServerChange = { kind: "delete", ...path, drainMs, shutdownSessions: request.force };
  if (request.persist) {
    requireEditor(caller);
    const name = configuredName(tools.commit.document, path);
    const deleted = create(ChangeSchema, { operation: { case: "delete", value: { name } } });
    return persist(tools.configuration, caller, [deleted], along);
  }
  await changeServer(tools, removal, signal);
  tools.commit.doubtWorker();
  return {};
}

async function changeServer(
  { haproxy }: RuntimeTools,
  change: ServerChange,
  signal: AbortSignal,
): Promise<void> {
  const [outcome] = await haproxy.runtime.applyServers([change], { signal });
  if (outcome !== undefined && !outcome.ok) throw outcome.error;
}

async function readServer(tools: RuntimeTools, path: ServerPath, signal: AbortSignal) {
  return serverMessage(tools.commit.document, await readState(tools, path, signal));
}

async function readState(tools: RuntimeTools, path: ServerPath, signal: AbortSignal) {
  return serverIn(await serverStates(tools, path.backend, signal), path);
}

/** A server behind the changes that were asked for before. */
async function lookAt(tools: RuntimeTools, path: ServerPath) {
  return serverIn(await ofBackend(path.backend, tools.lookAtServers(path.backend)), path);
}

function serverIn(states: readonly ServerState[], { backend, server }: ServerPath): ServerState {
  const state = states.find((one) => one.server === server);
  if (state === undefined) throw notFound("server", formatName("backends", backend, "servers", server));
  return state;
}

function serverStates({ haproxy }: RuntimeTools, backend: string | undefined, signal: AbortSignal) {
  return ofBackend(backend, haproxy.runtime.serverStates(backend, { signal }));
}

/** HAProxy refuses to print a backend that it does not have. */
async function ofBackend<T>(backend: string | undefined, states: Promise<T>): Promise<T> {
  try {
    return await states;
  } catch (error) {
    const isMissing =
      error instanceof DomainError &&
      (error.reason === "HAPROXY_REFUSED" || error.reason === "RESOURCE_NOT_FOUND");
    if (backend !== undefined && isMissing) throw notFound("backend", formatName("backends", backend), error);
    throw error;
  }
}

function nameOf({ backend, server }: ServerState): string {
  return formatName("backends", backend, "servers", server);
}

/** Finds the statistics of servers. */
function serverStats({ columns, rows }: StatsTable): (state: ServerState) => Stats | undefined {
  const encode = statsEncoder(columns);
  const byName = new Map<string, string>();
  const keyOf = rowKey({ columns });
  for (const row of rows) byName.set(keyOf(row), row);
  return ({ backend, server }) => {
    const row = byName.get(`${backend},${server},${SERVER_TYPE}`);
    return row === undefined ? undefined : fromBinary(StatsSchema, encode(row));
  };
}

function withStats(server: ServerMessage, stats: Stats | undefined): ServerMessage {
  return { ...server, ...(stats && { stats }) };
}

function notFound(type: string, name: string, cause?: unknown): DomainError {
  return new DomainError("RESOURCE_NOT_FOUND", `the running HAProxy has no ${name}`, {
    resource: { type, name },
    cause,
  });
}
