import type { QueryLog } from "./query-log.ts";
import type { Service } from "./service.ts";
import type { State } from "./status.ts";
import type { Steady } from "./steady.ts";

/** The state of a running source, from the facts. `isComplete`: all that was found first has been followed once. */
export function stateOf(
  services: ReadonlyMap<string, Service>,
  steady: Steady,
  queries: QueryLog,
  isComplete: boolean,
): State {
  let creating: string | undefined;
  for (const { follower, backend } of services.values()) {
    if (follower.rejection !== undefined)
      return { kind: "rejected", reason: `${backend}: ${follower.rejection}` };
    if (follower.isCreating) creating ??= backend;
  }
  const { reason: unbelieved } = steady;
  // A doubt does not end by itself, so a query that fails must not hide it.
  if (steady.doubtReason !== "" && unbelieved !== undefined) return { kind: "stale", reason: unbelieved };
  const { anyFailure } = queries;
  if (anyFailure !== undefined) return { kind: "retrying", reason: anyFailure };
  if (unbelieved !== undefined) return { kind: "stale", reason: unbelieved };
  if (!isComplete) return { kind: "starting" };
  return creating === undefined
    ? { kind: "synced" }
    : { kind: "syncing", reason: `${creating} is being made` };
}

/** Whether nothing is left to do for any of the services, but what was refused. */
export function isEveryFollowerDone(services: ReadonlyMap<string, Service>): boolean {
  for (const { follower } of services.values())
    if (!follower.isSettled && follower.rejection === undefined) return false;
  return true;
}

/** Whether all services have been answered and followed. */
export function isEveryServiceThere(services: ReadonlyMap<string, Service>): boolean {
  for (const { answer, follower } of services.values())
    if (answer === undefined || !follower.isSettled) return false;
  return true;
}
