import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  AdminReason,
  AdminState,
  CheckResult,
  type ConfiguredServerSchema,
  OperationalState,
  type ServerCheckSchema,
  type ServerSchema,
} from "../../gen/haplane/v1/runtime_pb.js";
import { defaultServerWords } from "../config/defaults.ts";
import { formatName } from "../config/name.ts";
import { backendSection, findServer, findTemplatedServer, numberAfter } from "../config/server.ts";
import type { ServerAdminFlags, ServerCheckState, ServerState } from "../haproxy/server-states.ts";
import type { Document } from "../text/document.ts";

/** A server as it is sent. */
export type ServerMessage = MessageInitShape<typeof ServerSchema>;

/** A running server beside what the configuration says of it. */
export function serverMessage(document: Document, state: ServerState): ServerMessage {
  const configured = configuredServer(document, state.backend, state.server);
  const adminState = adminStateOf(state.admin);
  return {
    name: formatName("backends", state.backend, "servers", state.server),
    address: state.address,
    port: state.port,
    weight: state.weight,
    adminState,
    operationalState: OPERATIONAL[state.operational],
    id: state.serverId,
    configured: configured !== undefined,
    ...(configured && { configuration: configured }),
    runtimeOnly: configured === undefined ? [] : differences(state, configured),
    initialWeight: state.initialWeight,
    adminReasons: REASONS.filter(([flag]) => state.admin[flag]).map(([, reason]) => reason),
    check: checkMessage(state.check),
    agent: checkMessage(state.agent),
    sinceChange: durationFromMs(state.secondsSinceChange * 1_000),
    fqdn: state.fqdn,
  };
}

type Configured = MessageInitShape<typeof ConfiguredServerSchema> & {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  readonly adminState: AdminState;
};

function configuredServer(document: Document, backend: string, name: string): Configured | undefined {
  const section = backendSection(document, backend);
  const server = section && (findServer(section, name) ?? findTemplatedServer(section, name));
  if (section === undefined || server === undefined) return undefined;
  const weight = server.weight ?? numberAfter(defaultServerWords(document, section), "weight") ?? 1;
  const adminState = server.disabled ? AdminState.MAINT : AdminState.READY;
  return { address: server.address, port: server.port, weight, adminState };
}

function differences(state: ServerState, configured: Configured): string[] {
  // Where the address is a name, DNS decides on it, and of a service record on port and weight too.
  const isService = configured.address.startsWith("_");
  const isName = isService || state.fqdn !== "";
  return [
    ...(isName || state.address === configured.address ? [] : ["address"]),
    ...(isService || state.port === configured.port ? [] : ["port"]),
    ...(isService || state.weight === configured.weight ? [] : ["weight"]),
    ...(toldState(state.admin) === configured.adminState ? [] : ["admin_state"]),
  ];
}

/** What it was told itself: neither what it has from another server nor that its name has no address. */
function toldState({ forcedMaint, forcedDrain }: ServerAdminFlags): AdminState {
  if (forcedMaint) return AdminState.MAINT;
  return forcedDrain ? AdminState.DRAIN : AdminState.READY;
}

const OPERATIONAL: Record<ServerState["operational"], OperationalState> = {
  stopped: OperationalState.STOPPED,
  starting: OperationalState.STARTING,
  running: OperationalState.RUNNING,
  stopping: OperationalState.STOPPING,
};

const REASONS: readonly (readonly [flag: keyof ServerAdminFlags, reason: AdminReason])[] = [
  ["forcedMaint", AdminReason.FORCED_MAINT],
  ["inheritedMaint", AdminReason.INHERITED_MAINT],
  ["configuredMaint", AdminReason.CONFIGURED_MAINT],
  ["forcedDrain", AdminReason.FORCED_DRAIN],
  ["inheritedDrain", AdminReason.INHERITED_DRAIN],
  ["unresolved", AdminReason.UNRESOLVED],
];

const RESULTS: Record<ServerCheckState["result"], CheckResult> = {
  unknown: CheckResult.UNSPECIFIED,
  neutral: CheckResult.NEUTRAL,
  failed: CheckResult.FAILED,
  passed: CheckResult.PASSED,
  conditionally_passed: CheckResult.CONDITIONALLY_PASSED,
};

function adminStateOf(admin: ServerAdminFlags): AdminState {
  if (admin.forcedMaint || admin.inheritedMaint || admin.unresolved) return AdminState.MAINT;
  return admin.forcedDrain || admin.inheritedDrain ? AdminState.DRAIN : AdminState.READY;
}

function checkMessage(check: ServerCheckState): MessageInitShape<typeof ServerCheckSchema> {
  const { configured, enabled, paused, inProgress, result } = check;
  return { configured, enabled, paused, inProgress, result: RESULTS[result] };
}
