import { isIP } from "node:net";
import { create } from "@bufbuild/protobuf";
import { type Change, ChangeSchema } from "../../gen/haplane/v1/configuration_pb.js";
import {
  type AddServerRequest,
  AdminState,
  HealthOverride,
  type SetServerRequest,
} from "../../gen/haplane/v1/runtime_pb.js";
import { formatName, parseName } from "../config/name.ts";
import { backendSection } from "../config/server.ts";
import { HAPROXY_NAME, isHaproxyName } from "../haproxy/haproxy-name.ts";
import type { AdminState as RuntimeAdminState, SetServer } from "../haproxy/server-change.ts";
import type { FieldViolation } from "../lib/errors.ts";
import { fieldsInvalid } from "../rpc/fields.ts";
import type { Document } from "../text/document.ts";

const SERVER = "backends/{backend}/servers/{server}";

/** Which server a request names. */
export interface ServerPath {
  readonly backend: string;
  readonly server: string;
}

/** Reads a server's name. Throws `FIELD_INVALID`. */
export function serverPath(name: string, field: string): ServerPath {
  const [backend, server] = parseName(name, SERVER, field) as [string, string];
  assertHaproxyNames([backend, server], field);
  return { backend, server };
}

/** Refuses ids that HAProxy cannot have as names, as parts of the resource name in `field`. Throws `FIELD_INVALID`. */
export function assertHaproxyNames(ids: readonly string[], field: string): void {
  if (!ids.every(isHaproxyName)) throw fieldsInvalid([{ field, description: `each part ${HAPROXY_NAME}` }]);
}

/** What has to hold of the values of an AddServer. Throws `FIELD_INVALID`. */
export function checkAdd(request: AddServerRequest): void {
  const { address, port, weight, adminState, persist } = request;
  const violations: FieldViolation[] = [];
  if (address === "") violations.push({ field: "address", description: "is required" });
  if (port === 0) violations.push({ field: "port", description: "must be 1 to 65535; it is 0" });
  checkValues(
    { address: address === "" ? undefined : address, port: port || undefined, weight, adminState },
    "",
    violations,
  );
  if (persist) checkPersistentState(adminState, "", violations);
  if (violations.length > 0) throw fieldsInvalid(violations);
}

/** What has to hold of the values of a SetServer; `prefix` is the path of the request's fields. Adds to `violations`. */
export function checkSet(
  request: SetServerRequest,
  persists: boolean,
  prefix: string,
  violations: FieldViolation[],
): void {
  checkValues(request, prefix, violations);
  const { health, agent, checkEnabled, agentEnabled } = request;
  if (HealthOverride[health] === undefined)
    violations.push({ field: `${prefix}health`, description: "must be one of HealthOverride" });
  if (HealthOverride[agent] === undefined || agent === HealthOverride.STOPPING)
    violations.push({ field: `${prefix}agent`, description: "must be UP or DOWN" });
  if (!persists) return;
  checkPersistentState(request.adminState, prefix, violations);
  const momentary = {
    health: health !== HealthOverride.UNSPECIFIED,
    agent: agent !== HealthOverride.UNSPECIFIED,
    check_enabled: checkEnabled !== undefined,
    agent_enabled: agentEnabled !== undefined,
  };
  for (const [field, given] of Object.entries(momentary))
    if (given) violations.push({ field: prefix + field, description: "cannot be persisted" });
}

interface ServerValues {
  readonly address?: string | undefined;
  readonly port?: number | undefined;
  readonly weight?: number | undefined;
  readonly adminState: AdminState;
}

function checkValues(
  { address, port, weight, adminState }: ServerValues,
  prefix: string,
  violations: FieldViolation[],
): void {
  // HAProxy's own words for an address; names, sockets and zones are for the configuration.
  if (address !== undefined && (isIP(address) === 0 || address.includes("%")))
    violations.push({
      field: `${prefix}address`,
      description: "must be an IPv4 or IPv6 address without a zone",
    });
  if (port !== undefined && (port < 1 || port > 65_535))
    violations.push({ field: `${prefix}port`, description: `must be 1 to 65535; it is ${port}` });
  if (weight !== undefined && weight > 256)
    violations.push({ field: `${prefix}weight`, description: `must be 0 to 256; it is ${weight}` });
  if (AdminState[adminState] === undefined)
    violations.push({ field: `${prefix}admin_state`, description: "must be READY, DRAIN or MAINT" });
}

function checkPersistentState(state: AdminState, prefix: string, violations: FieldViolation[]): void {
  if (state !== AdminState.DRAIN) return;
  const description = "DRAIN cannot be persisted: a configuration has no word for it";
  violations.push({ field: `${prefix}admin_state`, description });
}

/** HAProxy's word for a state; undefined when none is asked for. */
export const RUNTIME_ADMIN: Readonly<Record<AdminState, RuntimeAdminState | undefined>> = {
  [AdminState.UNSPECIFIED]: undefined,
  [AdminState.READY]: "ready",
  [AdminState.DRAIN]: "drain",
  [AdminState.MAINT]: "maint",
};

const HEALTH = {
  [HealthOverride.UNSPECIFIED]: undefined,
  [HealthOverride.UP]: "up",
  [HealthOverride.STOPPING]: "stopping",
  [HealthOverride.DOWN]: "down",
} as const;

/** What HAProxy is told. `present` is where the server is now: HAProxy sets address and port together. */
export function setChange(
  { backend, server }: ServerPath,
  request: SetServerRequest,
  present: { readonly address: string; readonly port: number } | undefined,
): SetServer {
  const { address, port, weight, adminState, checkEnabled, agentEnabled } = request;
  const [health, agent] = [HEALTH[request.health], HEALTH[request.agent]];
  const state = RUNTIME_ADMIN[adminState];
  const moves = address !== undefined || port !== undefined;
  return {
    ...{ kind: "set", backend, server },
    ...(moves && { address: address ?? present?.address ?? "" }),
    ...(moves && port !== undefined && { port }),
    ...(weight !== undefined && { weight }),
    ...(checkEnabled !== undefined && { checks: checkEnabled }),
    ...(agentEnabled !== undefined && { agentChecks: agentEnabled }),
    ...(health && { health }),
    ...(agent && agent !== "stopping" && { agent }),
    ...(state && { state }),
  };
}

/** The change of the configuration that stands for a SetServer; undefined when it sets nothing that a configuration says. */
export function persistentSet(
  document: Document,
  path: ServerPath,
  request: SetServerRequest,
): Change | undefined {
  const { address, port, weight, adminState } = request;
  const server = {
    ...(address !== undefined && { address }),
    ...(port !== undefined && { port }),
    ...(weight !== undefined && { weight }),
    ...(adminState !== AdminState.UNSPECIFIED && { disabled: adminState === AdminState.MAINT }),
  };
  const paths = Object.keys(server);
  if (paths.length === 0) return undefined;
  const resource = { name: configuredName(document, path), kind: { case: "server", value: server } } as const;
  return create(ChangeSchema, {
    operation: { case: "update", value: { resource, updateMask: { paths } } },
  });
}

/** The name of a server as a resource of the configuration, where a `listen` has servers too. */
export function configuredName(document: Document, { backend, server }: ServerPath): string {
  const collection = backendSection(document, backend)?.keyword === "listen" ? "listens" : "backends";
  return formatName(collection, backend, "servers", server);
}
