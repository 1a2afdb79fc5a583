import { createHash, timingSafeEqual } from "node:crypto";
import type { Clock } from "../lib/clock.ts";
import { parseShaCrypt } from "../lib/sha-crypt.ts";
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

/** Checked in place of the password of a user who does not exist, so that it takes the same time. */
const NOBODY = parseShaCrypt("$5$nobody$0000000000000000000000000000000000000000000");

/** Knows users by name and password. Hashes are checked off the event loop, and what was right is remembered for a minute. */
export function basicVerifier(options: {
  /** The user of a name, at this moment. */
  readonly user: (name: string) => UserRecord | undefined;
  readonly check: PasswordCheck;
  readonly clock: Clock;
}): Verifier {
  const { user, check, clock } = options;
  /** Until when, by digest of what was checked. */
  const right = new Map<string, number>();

  async function verify(name: string, password: string): Promise<Caller | undefined> {
    const found = user(name);
    if (found?.password.kind === "clear")
      return sameText(password, found.password.text) ? found.caller : undefined;
    const hash = parseShaCrypt(found?.password.text ?? "") ?? NOBODY!;
    const digest = digestOf(name, password, found?.password.text ?? "");
    if ((right.get(digest) ?? 0) > clock.monotonic()) return found?.caller;
    const matches = await check.verify(password, hash);
    if (!matches || found === undefined) return undefined;
    if (right.size >= MAX_REMEMBERED) right.delete(right.keys().next().value!);
    right.set(digest, clock.monotonic() + REMEMBERED_MS);
    return found.caller;
  }

  return (credentials) =>
    credentials.scheme === "basic" ? verify(credentials.user, credentials.password) : undefined;
}

/** Compares without telling by its time how much is the same. */
function sameText(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(left!, right!);
}

function digestOf(...texts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(texts)).digest("base64");
}
