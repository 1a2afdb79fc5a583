import { type Address, endpoint } from "./endpoint.ts";
import type { Follower } from "./follower.ts";
import { isManaged } from "./reconcile.ts";
import type { Instance, LeftOut } from "./registry.ts";
import { isFreeSlot } from "./slots.ts";
import type { TargetServer } from "./target.ts";

/** A service that the registry lists, or listed once, and its backend. */
export interface Service {
  readonly name: string;
  readonly backend: string;
  readonly follower: Follower;
  /** Whether the registry's last list has it. */
  isListed: boolean;
  /** The registry's last answer about it; undefined before the first of this run. */
  answer: readonly Instance[] | undefined;
  /** Those of its instances that get no traffic, as the registry's last answer has them. */
  leftOut: readonly LeftOut[];
  /** The servers that it should have or keeps: name → endpoint. */
  servers: ReadonlyMap<string, Address>;
  /** When the registry last said something else, in milliseconds since 1970; undefined if not in this run. */
  changedMs: number | undefined;
  /** How many live servers its backend has; undefined when that is to be counted anew, "none" when there is no backend. */
  live: number | "none" | undefined;
}

/** Servers that are discovery's own, for an instance, and not on their way out. */
export function liveServers(
  servers: readonly TargetServer[],
  leaving: ReadonlyMap<string, number>,
): TargetServer[] {
  return servers.filter((server) => isManaged(server) && !isFreeSlot(server) && !leaving.has(server.name));
}

/** The servers that are gone because an instance of another name has taken over their address. */
export function replacedServers(
  servers: ReadonlyMap<string, Address>,
  named: ReadonlyMap<string, Address>,
): ReadonlySet<string> {
  const missing = [...servers].filter(([name]) => !named.has(name));
  if (missing.length === 0) return new Set();
  const taken = new Set([...named.values()].map(endpoint));
  return new Set(missing.filter(([, address]) => taken.has(endpoint(address))).map(([name]) => name));
}

/** The instances that somebody should mend, in words. */
export function unusableInstances(leftOut: readonly LeftOut[]): string[] {
  return leftOut
    .filter(({ kind }) => kind === "unusable")
    .map(({ node, id, reason }) => `${node}/${id}: ${reason}`);
}

/** Whether a service has instances and none of them is asked for. */
export function isAllIgnored(leftOut: readonly LeftOut[]): boolean {
  return leftOut.length > 0 && leftOut.every(({ kind }) => kind === "ignored");
}
