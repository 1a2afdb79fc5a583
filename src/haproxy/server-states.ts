/** One line of `show servers state`: a server as the running worker sees it (management guide, section 9.3). */
export interface ServerState {
  readonly backend: string;
  readonly backendId: number;
  readonly server: string;
  readonly serverId: number;
  /** True when the configuration gives the id, so that a reload keeps it. */
  readonly idForced: boolean;
  /** IP address; empty while a name is not resolved. */
  readonly address: string;
  readonly port: number;
  /** Host name as configured; empty for an address. */
  readonly fqdn: string;
  readonly operational: "stopped" | "starting" | "running" | "stopping";
  readonly admin: ServerAdminFlags;
  /** The weight in force, as `set server … weight` sets it: 0 to 256. */
  readonly weight: number;
  /** The weight of the configuration. */
  readonly initialWeight: number;
  readonly secondsSinceChange: number;
  readonly check: ServerCheckState;
  readonly agent: ServerCheckState;
  readonly usesSsl: boolean;
  /** Every column as printed, by its name in HAProxy's header (`srv_check_health` …). */
  readonly columns: Readonly<Record<string, string>>;
}

/** The bits of `srv_admin_state`. */
export interface ServerAdminFlags {
  /** Put in maintenance by a command. */
  readonly forcedMaint: boolean;
  /** Maintenance of the server that this one tracks. */
  readonly inheritedMaint: boolean;
  /** `disabled` in the configuration. */
  readonly configuredMaint: boolean;
  /** Put in drain by a command. */
  readonly forcedDrain: boolean;
  /** Drain of the server that this one tracks. */
  readonly inheritedDrain: boolean;
  /** Its name has no address. */
  readonly unresolved: boolean;
}

/** A health or agent check: the bits of `srv_check_state` and `srv_agent_state`. */
export interface ServerCheckState {
  readonly configured: boolean;
  readonly enabled: boolean;
  readonly paused: boolean;
  readonly inProgress: boolean;
  /** Result of the last health check; `unknown` for the agent, which HAProxy does not print. */
  readonly result: "unknown" | "neutral" | "failed" | "passed" | "conditionally_passed";
}

/** By value of `srv_op_state`. */
const OPERATIONAL = ["stopped", "starting", "running", "stopping"] as const;

/** By value of `srv_check_result`. */
const RESULTS = ["unknown", "neutral", "failed", "passed", "conditionally_passed"] as const;

/** What stands for an empty column. */
const NONE = "-";

/**
 * Reads the answer to `show servers state`, whose columns are named in its second line; the format has version 1 in all
 * HAProxy versions so far. Undefined when it is something else.
 */
export function parseServerStates(answer: string): ServerState[] | undefined {
  const lines = answer.split("\n");
  const header = lines.findIndex((line) => line.startsWith("# be_id "));
  if (header === -1) return undefined;
  const names = (lines[header] as string).slice(2).trim().split(" ");
  const states: ServerState[] = [];
  for (const line of lines.slice(header + 1)) {
    if (line === "" || line.startsWith("#")) continue;
    const cells = line.split(" ");
    const columns: Record<string, string> = Object.create(null);
    for (const [index, name] of names.entries()) columns[name] = cells[index] ?? NONE;
    states.push(toState(columns));
  }
  return states;
}

function toState(columns: Readonly<Record<string, string>>): ServerState {
  const text = (name: string) => (columns[name] === undefined || columns[name] === NONE ? "" : columns[name]);
  const number = (name: string) => Number(text(name)) || 0;
  const admin = number("srv_admin_state");
  return {
    backend: text("be_name"),
    backendId: number("be_id"),
    server: text("srv_name"),
    serverId: number("srv_id"),
    idForced: text("srv_f_forced_id") === "1",
    address: text("srv_addr"),
    port: number("srv_port"),
    fqdn: text("srv_fqdn"),
    operational: OPERATIONAL[number("srv_op_state")] ?? "stopped",
    admin: {
      forcedMaint: (admin & 0x01) !== 0,
      inheritedMaint: (admin & 0x02) !== 0,
      configuredMaint: (admin & 0x04) !== 0,
      forcedDrain: (admin & 0x08) !== 0,
      inheritedDrain: (admin & 0x10) !== 0,
      unresolved: (admin & 0x20) !== 0,
    },
    weight: number("srv_uweight"),
    initialWeight: number("srv_iweight"),
    secondsSinceChange: number("srv_time_since_last_change"),
    check: toCheck(number("srv_check_state"), RESULTS[number("srv_check_result")] ?? "unknown"),
    agent: toCheck(number("srv_agent_state"), "unknown"),
    usesSsl: text("srv_use_ssl") === "1",
    columns,
  };
}

function toCheck(bits: number, result: ServerCheckState["result"]): ServerCheckState {
  return {
    configured: (bits & 0x02) !== 0,
    enabled: (bits & 0x04) !== 0,
    paused: (bits & 0x08) !== 0,
    inProgress: (bits & 0x01) !== 0,
    result,
  };
}
