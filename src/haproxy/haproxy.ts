import type { CallOptions } from "./call-options.ts";
import type { Capabilities } from "./capabilities.ts";
import type { CheckOutcome } from "./check.ts";
import type { StandIns } from "./managed-process.ts";
import type { ProcessState } from "./process-state.ts";
import type { ReloadOutcome } from "./reload.ts";
import type { Runtime } from "./runtime.ts";

/** Everything haplane does with one HAProxy: the process, its configuration check, its reload and its runtime. */
export interface Haproxy {
  /** `managed`: started and kept running by haplane. `attached`: run by someone else. */
  readonly mode: "managed" | "attached";
  /** What a managed HAProxy can be started from in place of its files; undefined for one that somebody else runs. */
  readonly standIns: StandIns | undefined;
  /** The state as last seen; see `subscribe`. */
  readonly state: ProcessState;
  /** What the running HAProxy can do; undefined until one has been seen. */
  readonly capabilities: Capabilities | undefined;
  /** Typed commands to the worker that accepts connections. */
  readonly runtime: Runtime;
  /** Calls `listener` after every change of state (never at once with the present one); returns the way to stop. */
  subscribe(listener: (state: ProcessState, previous: ProcessState) => void): () => void;
  /**
   * Begins to supervise, or, when HAProxy is down, tries again at once. Resolves when HAProxy runs, or is down and will be tried
   * again.
   */
  start(): Promise<void>;
  /**
   * Stops supervising and frees every connection. `leave` lets HAProxy serve on; `end` (managed only) ends it
   * gracefully: existing connections get `graceMs` (default 5,000), then it is killed; `end-own` does so only with one that
   * was started here, and leaves one that was found running.
   */
  stop(what: StopRequest): Promise<void>;
  /** Runs `haproxy -c` of the configured binary over files. Throws `NOT_SUPPORTED` when no binary is known. */
  check(request: CheckRequest, options?: CallOptions): Promise<CheckOutcome>;
  /** Reloads through the master socket, one at a time, read to its end; a managed HAProxy that is down is started instead. Throws `HAPROXY_UNAVAILABLE` when it cannot be asked. */
  reload(options?: CallOptions): Promise<ReloadOutcome>;
}

/** What `check` shall read. */
export interface CheckRequest {
  /** Files and directories in order, each becomes `-f PATH`. Default: the files HAProxy runs with. */
  readonly files?: readonly string[];
}

/** What shall become of HAProxy when haplane stops. */
export type StopRequest =
  | { readonly haproxy: "leave" }
  | { readonly haproxy: "end" | "end-own"; readonly graceMs?: number };
