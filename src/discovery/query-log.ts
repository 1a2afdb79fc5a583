import type { Logger } from "pino";
import type { Clock } from "../lib/clock.ts";
import type { Status } from "./status.ts";

/** How the queries to a registry fare. A query is called by its service, or `LIST`. */
export interface QueryLog {
  /** Of the last good answer. */
  readonly index: bigint;
  readonly lastSuccessMs: number | undefined;
  readonly lastError: Status["lastError"];
  /** Why some query has no good answer at present; undefined when all have one. */
  readonly anyFailure: string | undefined;
  /** Why this one has none. */
  failureOf(query: string): string | undefined;
  succeeded(query: string, index: bigint): void;
  failed(query: string, message: string): void;
  /** It is not made any more. */
  forget(query: string): void;
  /** Something else went wrong. */
  note(error: unknown): void;
}

/** How the list of services is called among the queries; no service has this name. */
export const LIST = "";

/** No query yet; `index` is that of the run before. */
export function createQueryLog(index: bigint, clock: Clock, logger: Logger): QueryLog {
  const failing = new Map<string, string>();
  let lastSuccessMs: number | undefined;
  let lastError: Status["lastError"];

  return {
    get index() {
      return index;
    },
    get lastSuccessMs() {
      return lastSuccessMs;
    },
    get lastError() {
      return lastError;
    },
    get anyFailure() {
      return failing.values().next().value;
    },
    failureOf: (query) => failing.get(query),
    succeeded(query, answered) {
      failing.delete(query);
      index = answered;
      lastSuccessMs = clock.now();
    },
    failed(query, message) {
      failing.set(query, message);
    },
    forget: (query) => void failing.delete(query),
    note(error) {
      const message = error instanceof Error ? error.message : String(error);
      lastError = { atMs: clock.now(), message };
      logger.debug({ reason: message }, "a query got no good answer");
    },
  };
}
