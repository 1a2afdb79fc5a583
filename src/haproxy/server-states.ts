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
  const states = serverStatesIn(answer);
  return states && [...states];
}

/** The same, each row read when it is come to: those of 10,000 servers take tens of milliseconds. Can be gone through more than once. */
export function serverStatesIn(answer: string): Iterable<ServerState> | undefined {
  const header = /^# be_id .*$/m.exec(answer);
  if (header === null) return undefined;
  const read = stateReader(header[0].slice(2).trim().split(" "));
  return {
    *[Symbol.iterator]() {
      for (const line of linesFrom(answer, header.index + header[0].length + 1))
        if (line !== "" && !line.startsWith("#")) yield read(line.split(" "));
    },
  };
}

function* linesFrom(text: string, from: number): Generator<string> {
  for (let at = from, end = 0; at < text.length; at = end + 1) {
    end = text.indexOf("\n", at);
    if (end === -1) end = text.length;
    yield text.slice(at, end);
  }
}

/** Makes a reader of rows with these columns. */
function stateReader(names: readonly string[]): (cells: readonly string[]) => ServerState {
  const indexes = new Map(names.map((name, index) => [name, index]));
  /** The column as printed. */
  const column = (name: string) => {
    const index = indexes.get(name) ?? -1;
    return (cells: readonly string[]) => cells[index] ?? NONE;
  };
  const text = (name: string) => {
    const read = column(name);
    return (cells: readonly string[]) => {
      const cell = read(cells);
      return cell === NONE ? "" : cell;
    };
  };
  const number = (name: string) => {
    const read = column(name);
    return (cells: readonly string[]) => Number(read(cells)) || 0;
  };
  const [backend, server] = [column("be_name"), column("srv_name")];
  const [backendId, serverId, port] = [number("be_id"), number("srv_id"), number("srv_port")];
  const [idForced, usesSsl] = [text("srv_f_forced_id"), text("srv_use_ssl")];
  const [address, fqdn] = [text("srv_addr"), text("srv_fqdn")];
  const [operational, admin] = [number("srv_op_state"), number("srv_admin_state")];
  const [weight, initialWeight] = [number("srv_uweight"), number("srv_iweight")];
  const since = number("srv_time_since_last_change");
  const [check, result, agent] = [
    number("srv_check_state"),
    number("srv_check_result"),
    number("srv_agent_state"),
  ];
  return (cells) => ({
    backend: backend(cells),
    backendId: backendId(cells),
    server: server(cells),
    serverId: serverId(cells),
    idForced: idForced(cells) === "1",
    address: address(cells),
    port: port(cells),
    fqdn: fqdn(cells),
    operational: OPERATIONAL[operational(cells)] ?? "stopped",
    admin: toAdmin(admin(cells)),
    weight: weight(cells),
    initialWeight: initialWeight(cells),
    secondsSinceChange: since(cells),
    check: toCheck(check(cells), RESULTS[result(cells)] ?? "unknown"),
    agent: toCheck(agent(cells), "unknown"),
    usesSsl: usesSsl(cells) === "1",
    get columns() {
      return Object.fromEntries(names.map((name, index) => [name, cells[index] ?? NONE]));
    },
  });
}

function toAdmin(bits: number): ServerAdminFlags {
  return {
    forcedMaint: (bits & 0x01) !== 0,
    inheritedMaint: (bits & 0x02) !== 0,
    configuredMaint: (bits & 0x04) !== 0,
    forcedDrain: (bits & 0x08) !== 0,
    inheritedDrain: (bits & 0x10) !== 0,
    unresolved: (bits & 0x20) !== 0,
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
