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
