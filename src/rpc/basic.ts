import { createHash, timingSafeEqual } from "node:crypto";
import type { Clock } from "../lib/clock.ts";
import { MAX_ROUNDS, parseShaCrypt, type ShaCrypt } from "../lib/sha-crypt.ts";
import type { Verifier } from "./auth.ts";
import type { Caller } from "./handler.ts";
import type { PasswordCheck } from "./password-check.ts";

/** A user who may come with HTTP Basic. */
export interface UserRecord {
  readonly caller: Caller;
  /** In clear, or as crypt(3) writes it: `$5$` and `$6$`. A user with another hash cannot come in. */
  readonly password: { readonly kind: "clear" | "hashed"; readonly text: string };
}

/** How long a password that was right is believed without another check. */
const REMEMBERED_MS = 60_000;
const MAX_REMEMBERED = 1_000;

/** Checked in place of a hash that nobody has. */
const NOBODY: ShaCrypt = { scheme: 6, rounds: 5_000, salt: "nobody", digest: "" };
/** Fewer rounds than a hash can have are not worth a check. */
const LEAST_ROUNDS = 1_000;

/**
 * Knows users by name and password. Hashes are checked off the event loop, and what was right is remembered for a minute. What is wrong takes as many rounds as the slowest hash of all, whether the user exists,
 * and however the password is kept: the time tells nobody who there is.
 */
export function basicVerifier(options: {
  /** The user of a name, at this moment. */
  readonly user: (name: string) => UserRecord | undefined;
  /** The passwords of all users, at this moment. */
  readonly passwords: () => Iterable<UserRecord["password"]>;
  readonly check: PasswordCheck;
  readonly clock: Clock;
}): Verifier {
  const { user, passwords, check, clock } = options;
  /** Until when, by digest of what was checked. */
  const right = new Map<string, number>();

  async function verify(name: string, password: string): Promise<Caller | undefined> {
    const found = user(name);
    const hash = found && usableHash(found.password);
    if (found !== undefined && (await matches(name, password, found, hash))) return found.caller;
    const rounds = slowest(passwords()) - (hash?.rounds ?? 0);
    if (rounds >= LEAST_ROUNDS) await check.verify(password, { ...NOBODY, rounds });
    return undefined;
  }

  async function matches(
    name: string,
    password: string,
    found: UserRecord,
    hash: ShaCrypt | undefined,
  ): Promise<boolean> {
    const { kind, text } = found.password;
    if (kind === "clear") return sameText(password, text);
    if (hash === undefined) return false;
    const digest = digestOf(name, password, text);
    if ((right.get(digest) ?? 0) > clock.monotonic()) return true;
    if (!(await check.verify(password, hash))) return false;
    if (right.size >= MAX_REMEMBERED) right.delete(right.keys().next().value!);
    right.set(digest, clock.monotonic() + REMEMBERED_MS);
    return true;
  }

  return (credentials) =>
    credentials.scheme === "basic" ? verify(credentials.user, credentials.password) : undefined;
}

/** The hash that a password can be checked against; undefined for one in clear, and for one that is none of ours or would take too long. */
function usableHash({ kind, text }: UserRecord["password"]): ShaCrypt | undefined {
  const hash = kind === "hashed" ? parseShaCrypt(text) : undefined;
  return hash !== undefined && hash.rounds <= MAX_ROUNDS ? hash : undefined;
}

/** The rounds of the slowest hash. */
function slowest(passwords: Iterable<UserRecord["password"]>): number {
  let rounds = NOBODY.rounds;
  for (const password of passwords) rounds = Math.max(rounds, usableHash(password)?.rounds ?? 0);
  return rounds;
}

/** Compares without telling by its time how much is the same. */
function sameText(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(left!, right!);
}

function digestOf(...texts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(texts)).digest("base64");
}
