import type { ReloadOutcome } from "../haproxy/reload.ts";
import { DomainError } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";
import { refused, traced } from "./candidate.ts";

/** How a reload failed: what was seen of it, or that the master could not even be told. */
export type FailedReload =
  | Exclude<ReloadOutcome, { kind: "succeeded" }>
  | { readonly kind: "unreachable"; readonly error: unknown };

/** What the callers of a group are told whose reload failed. */
export function reloadError(outcome: FailedReload, document: Document): DomainError {
  switch (outcome.kind) {
    case "refused":
      return refused(traced(outcome.messages, "alert", document), outcome.log.trim());
    case "master_lost":
      return new DomainError(
        "HAPROXY_UNAVAILABLE",
        `HAProxy died of the reload; the configuration was taken back: ${outcome.log.trim()}`,
        {
          alerts: traced(outcome.messages, "alert", document),
          retryAfterMs: 1_000,
        },
      );
    case "timed_out":
      return new DomainError(
        "TIMED_OUT",
        `HAProxy did not say how the reload ended; the configuration was taken back: ${outcome.log.trim()}`,
      );
    case "unreachable":
      return outcome.error instanceof DomainError
        ? outcome.error
        : new DomainError("HAPROXY_UNAVAILABLE", "HAProxy could not be told to reload", {
            cause: outcome.error,
            retryAfterMs: 1_000,
          });
  }
}
