import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";

/** Keeps count of wrong passwords, by where they come from. */
export interface FailedAttempts {
  /** The error for a host that has to wait; undefined for others. */
  waiting(host: string): DomainError | undefined;
  /** A host has sent a wrong password. */
  add(host: string): void;
}

/** How long a host is remembered after its last wrong attempt. */
const REMEMBERED_MS = 15 * 60_000;
/** Hosts that are remembered; the one whose last attempt is longest ago is forgotten first. */
const MAX_HOSTS = 10_000;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;

interface Attempts {
  count: number;
  last: number;
  until: number;
}

/**
 * Lets a host send `free` wrong passwords; then it has to wait after each, 1 s, 2 s, 4 s … up to a minute, and is forgotten after a quarter of an hour without any. What is right does not count as
 * an excuse: who has one good password may not guess others.
 */
export function countFailedAttempts(free: number, clock: Clock): FailedAttempts {
  const hosts = new Map<string, Attempts>();
  return {
    waiting(host) {
      const waitMs = (hosts.get(host)?.until ?? 0) - clock.monotonic();
      if (waitMs <= 0) return undefined;
      return new DomainError("LIMIT_EXCEEDED", "too many wrong passwords came from your address; wait", {
        metadata: { limit: "wrong passwords", maximum: String(free) },
        retryAfterMs: Math.ceil(waitMs),
      });
    },
    add(host) {
      const now = clock.monotonic();
      const known = hosts.get(host);
      const count = known === undefined || now - known.last > REMEMBERED_MS ? 1 : known.count + 1;
      const wait =
        count < free ? 0 : Math.min(FIRST_WAIT_MS * 2 ** Math.min(count - free, 30), LONGEST_WAIT_MS);
      // The order of a Map is that of insertion: the newest last.
      hosts.delete(host);
      hosts.set(host, { count, last: now, until: now + wait });
      if (hosts.size > MAX_HOSTS) hosts.delete(hosts.keys().next().value!);
    },
  };
}
