import { DomainError } from "../lib/errors.ts";

/** What became of bringing the running worker to a file. */
export type LiveOutcome =
  /** It has the file's content; these commands were sent. */
  | { readonly kind: "done"; readonly commands: readonly string[] }
  /** It has not loaded a file of this path. */
  | { readonly kind: "unloaded" }
  /** It takes a reload. */
  | { readonly kind: "impossible"; readonly reason: string };

/** Runs commands; what HAProxy refuses, or cannot be told, takes a reload. That nobody answers is an error. */
export async function attempt(
  what: string,
  commands: () => Promise<readonly string[]>,
): Promise<LiveOutcome> {
  try {
    return { kind: "done", commands: await commands() };
  } catch (error) {
    if (!(error instanceof DomainError) || error.reason === "HAPROXY_UNAVAILABLE") throw error;
    return { kind: "impossible", reason: `${what} takes a reload: ${error.message}` };
  }
}
