import { hash, randomBytes } from "node:crypto";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";

/** Credentials of one way, from one host. */
export interface Attempt {
  readonly host: string;
  readonly scheme: "bearer" | "basic";
  /** What was sent: it is kept as a keyed hash only. */
  readonly secret: string;
}

/** Keeps count of wrong credentials, by where they come from. */
export interface FailedAttempts {
  /** The error for credentials that have to wait; undefined when they may be looked at, as those may always that were right from there lately. */
  waiting(attempt: Attempt): DomainError | undefined;
  /** They were wrong. */
  failed(attempt: Attempt): void;
  /** They were right. */
  passed(attempt: Attempt): void;
}

/** How long a host, and what it sent, is remembered after the last wrong attempt. */
const WRONG_MS = 15 * 60_000;
/** How long credentials that were right pass while their host waits. */
const RIGHT_MS = 60 * 60_000;
/** How old a memory of what was right may be before it is renewed: not every call is to write it. */
const RENEW_MS = 60_000;
/** Of each kind; the one that was touched longest ago is forgotten first. */
const MAX_REMEMBERED = 10_000;
const FIRST_WAIT_MS = 1_000;
/** Tokens have 128 bits at the least, so a wait is there to slow down who tries them, and ends soon for those behind the same address. */
const LONGEST_WAIT_MS = { bearer: 5_000, basic: 60_000 } as const;
const NOUN = { bearer: "tokens", basic: "passwords" } as const;

interface Wrong {
  count: number;
  last: number;
  until: number;
}

/**
 * Lets a host send `free` different wrong tokens, and as many passwords; then it has to wait after each, 1 s, 2 s, 4 s … up to a few seconds (tokens) or a minute (passwords). The same credentials again are no
 * guess: a client with an old token makes only itself wait, by the same rule, and not those behind the same address. Those who were right from there within the hour do not wait at all. What was right is
 * no excuse for what was wrong: who has one good password may not guess others.
 */
export function countFailedAttempts(free: number, clock: Clock): FailedAttempts {
  const wrong = new Map<string, Wrong>();
  /** When they were last right. */
  const right = new Map<string, number>();
  const key = randomBytes(32).toString("base64");
  const own = ({ host, scheme, secret }: Attempt) =>
    hash("sha256", JSON.stringify([key, host, scheme, secret]), "base64");
  const shared = ({ host, scheme }: Attempt) => `${scheme} ${host}`;

  const isRight = (id: string, withinMs: number) =>
    clock.monotonic() - (right.get(id) ?? Number.NEGATIVE_INFINITY) < withinMs;

  /** Counts once more, and returns whether it is the first time in a while. */
  const count = (id: string, scheme: Attempt["scheme"]): boolean => {
    const now = clock.monotonic();
    const known = wrong.get(id);
    const isNew = known === undefined || now - known.last > WRONG_MS;
    const times = isNew ? 1 : known.count + 1;
    const waitMs = times < free ? 0 : FIRST_WAIT_MS * 2 ** Math.min(times - free, 30);
    const until = now + Math.min(waitMs, LONGEST_WAIT_MS[scheme]);
    remember(wrong, id, { count: times, last: now, until });
    return isNew;
  };

  return {
    waiting(attempt) {
      if (wrong.size === 0) return undefined;
      const id = own(attempt);
      const until = Math.max(wrong.get(shared(attempt))?.until ?? 0, wrong.get(id)?.until ?? 0);
      const waitMs = until - clock.monotonic();
      if (waitMs <= 0 || isRight(id, RIGHT_MS)) return undefined;
      const sentence = `too many wrong ${NOUN[attempt.scheme]} came from your address; wait`;
      return new DomainError("LIMIT_EXCEEDED", sentence, {
        metadata: { limit: "max_failed_logins", maximum: String(free) },
        retryAfterMs: Math.ceil(waitMs),
      });
    },
    failed(attempt) {
      const id = own(attempt);
      right.delete(id);
      if (count(id, attempt.scheme)) count(shared(attempt), attempt.scheme);
    },
    passed(attempt) {
      const id = own(attempt);
      wrong.delete(id);
      if (!isRight(id, RENEW_MS)) remember(right, id, clock.monotonic());
    },
  };
}

/** Puts a value in as the newest. The order of a Map is that of insertion. */
function remember<V>(map: Map<string, V>, id: string, value: V): void {
  map.delete(id);
  map.set(id, value);
  if (map.size > MAX_REMEMBERED) map.delete(map.keys().next().value!);
}
