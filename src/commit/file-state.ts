import { DomainError } from "../lib/errors.ts";

/** Whose the configuration files are at the moment. Only files that are ours are written and reloaded. */
export type FileState =
  /** They hold what was last read or written. */
  | { readonly kind: "ours" }
  /** A write came upon somebody's edit, which has not been looked at to its end. */
  | { readonly kind: "foreign" }
  /** Somebody's edit is not adopted, and why. */
  | { readonly kind: "held"; readonly why: DomainError }
  /** Nothing is ever written: haplane only looks. */
  | { readonly kind: "observed" };

/** Throws why nothing may be written or reloaded, if so. An edit that has not been looked at yet is no reason: whoever writes comes upon it. */
export function requireUsable(state: FileState): void {
  if (state.kind === "held") throw state.why;
  if (state.kind === "observed") throw readOnly();
}

/** The error that says that haplane writes and reloads nothing. */
export function readOnly(): DomainError {
  return new DomainError("NOT_SUPPORTED", "haplane only looks (--read-only): it writes and reloads nothing", {
    metadata: { needs: "a haplane that is not read-only" },
  });
}

/** The error that says that somebody went on editing a file for as long as a change was tried. */
export function busyFile(): DomainError {
  return new DomainError("FILE_HELD", "the configuration file is being edited by somebody else; try again", {
    retryAfterMs: 1_000,
  });
}
