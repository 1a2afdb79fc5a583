import type { DomainError } from "../lib/errors.ts";

/** The administrative state that HAProxy's `set server … state` knows. */
export type AdminState = "ready" | "drain" | "maint";

/** Adds a server to a backend: `add server`, then its checks, then its state. */
export interface AddServer {
  readonly kind: "add";
  readonly backend: string;
  readonly server: string;
  /** IPv4 or IPv6 address, or a path of a UNIX socket as `unix@/path`. */
  readonly address: string;
  /** 0 for an address without a port. */
  readonly port: number;
  /**
   * The words of the `default-server` lines that apply, in order, then those that follow the address on the server's
   * own line. Later words win as in the file; `enabled`, `disabled` and `no-…` are resolved here, since
   * HAProxy does not take them in `add server`.
   */
  readonly words: readonly string[];
  /** Default: `maint` when the words end up `disabled`, else `ready`. */
  readonly state?: AdminState;
}

/** Changes a server that is there; what is left out stays as it is. */
export interface SetServer {
  readonly kind: "set";
  readonly backend: string;
  readonly server: string;
  /** IPv4 or IPv6 address. */
  readonly address?: string;
  /** Port; needs `address` beside it, since HAProxy sets both with one command. */
  readonly port?: number;
  /** 0 to 256, or a share of the configured weight such as `50%`. */
  readonly weight?: number | `${number}%`;
  readonly state?: AdminState;
  /** Overrides what the health check found. */
  readonly health?: "up" | "stopping" | "down";
  /** Overrides what the agent check said. */
  readonly agent?: "up" | "down";
  /** Turns the health check on or off. */
  readonly checks?: boolean;
  /** Turns the agent check on or off. */
  readonly agentChecks?: boolean;
}

/** Takes a server out of rotation at once, waits until it is unused, and removes it. */
export interface DeleteServer {
  readonly kind: "delete";
  readonly backend: string;
  readonly server: string;
  /** How long its connections may take to end. Default 30,000 ms. */
  readonly drainMs?: number;
  /** Ends the sessions that are left after `drainMs`. Default false: the server then stays in maintenance. */
  readonly shutdownSessions?: boolean;
}

/** One change of a server at runtime. */
export type ServerChange = AddServer | SetServer | DeleteServer;

/** What became of one change of a batch. */
export type ServerOutcome =
  | { readonly ok: true; readonly workerPid: number }
  /** `HAPROXY_REFUSED`, `RESOURCE_NOT_FOUND`, `RESOURCE_EXISTS`, `FIELD_INVALID`, `HAPROXY_UNAVAILABLE` … */
  | { readonly ok: false; readonly error: DomainError };
