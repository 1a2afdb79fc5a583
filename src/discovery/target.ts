import type { DomainError } from "../lib/errors.ts";

/**
 * What discovery needs of the rest of haplane: to read and change the servers of backends. It is given to `createSources` by whoever wires the parts together.
 *
 * What an implementation keeps to:
 * - What `servers` returns includes every change from the moment it was begun, whether or not HAProxy has taken it yet: it is the document, not the worker. A long list of changes is begun in
 *   parts, in order, so that the worker is busy with the first while the rest is made.
 * - Changes of different backends, and a removal and anything after it, do not wait for each other. Discovery never adds a server under the name or id of one whose
 *   removal has not been answered, and sends at most one batch without removals per backend at a time.
 * - Nothing is ever undone because a promise is slow: discovery does not time out, it only acts on answers.
 */
export interface Target {
  /** The servers that the current document has in this backend, or undefined when there is no such backend. Cheap: called before each change. The same array for as long as nothing in it has changed. */
  servers(backend: string): readonly TargetServer[] | undefined;
  /** The resources whose lines name this backend, so that it is not removed: `frontends/http`. */
  referrers(backend: string): readonly string[];
  /**
   * Creates backends with their first servers. Calls that come together are joined into one reload; the promise resolves when HAProxy runs them.
   * A backend that exists by then is left as it is, which counts as success. Rejects with a `DomainError` when none of this call's backends was created.
   */
  createBackends(backends: readonly NewBackend[], author: string): Promise<void>;
  /**
   * Removes backends with all their servers, by one reload. Answers for each, in order, whether HAProxy runs it no longer; one that is not there is removed, and one that the configuration names is left
   * as it is. Never rejects.
   */
  removeBackends(names: readonly string[], author: string): Promise<readonly ChangeResult[]>;
  /** Adds servers to a backend by one reload; resolves when HAProxy runs them. Rejects with a `DomainError`. */
  addServers(backend: string, servers: readonly NewServer[], author: string): Promise<void>;
  /** Whether HAProxy can add servers with these options to a backend while it runs; for one that does not exist, if it were made with these defaults. True when that is not known. */
  takesServers(backend: string, options: readonly string[], defaults: string): boolean;
  /**
   * Changes servers of one backend: the runtime command at once, the file soon after, the revision last. Resolves with one result per change when HAProxy has taken
   * all of them; a removal counts as taken once the server has left HAProxy. Never rejects for a single change's sake. What has not begun when the signal aborts is not done, and answered with `CANCELLED`.
   */
  changeServers(
    backend: string,
    changes: readonly ServerChange[],
    author: string,
    signal?: AbortSignal,
  ): Promise<readonly ChangeResult[]>;
  /**
   * Calls `listener` when servers or backends may have changed by another hand (an edit of the file, a rollback, a reload that failed), so that discovery compares
   * again. Calls for discovery's own changes are harmless. Returns the way to stop.
   */
  subscribe(listener: () => void): () => void;
}

/** A server as the document has it. */
export interface TargetServer {
  readonly name: string;
  /** An IP address without brackets where the line has one; whatever else stands there otherwise. */
  readonly address: string;
  /** 0 when the line has none. */
  readonly port: number;
  /** The effective weight in the document, 0 to 256; HAProxy's default is 1. */
  readonly weight: number;
  /**
   * The `id` parameter on the server's own line, 0 when there is none. Discovery gives one to every server that it adds, and takes a server without one for
   * somebody else's: it is never changed or removed.
   */
  readonly id: number;
  /** Its line says `disabled`. Default false. */
  readonly disabled?: boolean;
}

/** A backend that does not exist yet, and the servers that it starts with (perhaps none). */
export interface NewBackend {
  readonly name: string;
  /** The `defaults` section that it is to name. Default: none. */
  readonly defaults?: string;
  readonly servers: readonly NewServer[];
}

/** A server to be added. */
export interface NewServer {
  /** Made of A-Z a-z 0-9 - _ . and : only. */
  readonly name: string;
  /** An IPv4 or IPv6 address without brackets. */
  readonly address: string;
  /** 1 to 65535. */
  readonly port: number;
  /** 0 to 256. */
  readonly weight: number;
  /** From 1; unique in the backend. */
  readonly id: number;
  /** Words that follow on its line: parameters of HAProxy's `server`. Default: none. */
  readonly options?: readonly string[];
  /** Starts in maintenance. Default false. */
  readonly disabled?: boolean;
}

/** One change of a backend's servers. */
export type ServerChange =
  | ({ readonly kind: "add" } & NewServer)
  /** New connections go to this address from now on; those that are open stay where they are. */
  | {
      readonly kind: "set-address";
      readonly name: string;
      readonly address: string;
      readonly port: number;
    }
  | { readonly kind: "set-weight"; readonly name: string; readonly weight: number }
  /** A disabled server gets its address and weight, and then traffic. */
  | {
      readonly kind: "fill";
      readonly name: string;
      readonly address: string;
      readonly port: number;
      readonly weight: number;
    }
  /** Takes no new connection from now on, and stays, disabled. */
  | { readonly kind: "free"; readonly name: string }
  /** Takes no new connection from now on, and goes when those that are open have ended or the drain time is over (default 10 min). */
  | { readonly kind: "remove"; readonly name: string; readonly drainMs?: number };

/** What became of one change. */
export type ChangeResult = { readonly ok: true } | { readonly ok: false; readonly error: DomainError };
