import type { CallOptions } from "./call-options.ts";
import type { ProcessInfo } from "./info.ts";
import type { ServerChange, ServerOutcome } from "./server-change.ts";
import type { ServerState } from "./server-states.ts";
import type { StatRow } from "./stats.ts";

/**
 * Typed commands to HAProxy's stats socket. Every call goes to the worker that accepts connections; all throw
 * `DomainError`: `HAPROXY_UNAVAILABLE` (no answer; for a change it is unknown whether it was made),
 * `HAPROXY_REFUSED` (with HAProxy's words), `CANCELLED`.
 */
export interface Runtime {
  /** `show info`. */
  info(options?: CallOptions): Promise<ProcessInfo>;
  /** `show stat`: frontends, backends, servers and listeners, with every column that HAProxy prints. */
  stats(options?: CallOptions): Promise<readonly StatRow[]>;
  /** `show servers state`, of one backend or of all. */
  serverStates(backend?: string, options?: CallOptions): Promise<readonly ServerState[]>;
  /**
   * Applies changes, pipelined; the outcome at index i belongs to change i. Changes of one server are made in order, and
   * a failure does not stop the others. Deletions wait for their server to become unused without holding anything up.
   */
  applyServers(changes: readonly ServerChange[], options?: CallOptions): Promise<readonly ServerOutcome[]>;
  /** One command from words, each quoted; answers what HAProxy printed. */
  execute(words: readonly string[], options?: CallOptions): Promise<string>;
}
