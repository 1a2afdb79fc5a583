import type { Done } from "./apply-changes.ts";

const VERBS = { created: "adds", updated: "changes", deleted: "removes" };
const NAMED = 3;

/** A sentence on what was done, for the history. */
export function describeDone(done: readonly Done[]): string {
  const named = done.slice(0, NAMED).map(({ type, name }) => `${VERBS[type]} ${name}`);
  return `${named.join(", ")}${done.length > NAMED ? ` and ${done.length - NAMED} more` : ""}`;
}
