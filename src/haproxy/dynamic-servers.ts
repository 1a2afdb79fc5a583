import { MAX_WORDS } from "./command.ts";
import { resolveServerWords, splitParameters } from "./server-words.ts";
import { type HaproxyVersion, isAtLeast } from "./version.ts";

/** How a backend picks its servers. */
export interface Balancing {
  /** The words of the `balance` line that applies, such as `["uri", "whole"]`; empty for HAProxy's default, roundrobin. */
  readonly balance: readonly string[];
  /** The words of the `hash-type` line that applies; empty for the default, `map-based`. */
  readonly hashType: readonly string[];
  /** The backend's mode. Default `http`. */
  readonly mode?: string;
}

/** Whether a server can be added at runtime; if not, why, in words for the user. */
export type Addable = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** Algorithms that take servers as they come and go (management guide, `add server`). */
const DYNAMIC = new Set(["roundrobin", "leastconn", "first", "random"]);

/** Algorithms that do so only with `hash-type consistent`. */
const HASHING = new Set(["source", "uri", "url_param", "hdr", "rdp-cookie", "hash"]);

/**
 * Parameters that `add server` refuses, and the branch from which it takes them, if any. Measured on 2.6, 3.0 and 3.2, whose
 * management guides list what is taken; the rest is taken by all of them.
 */
const REFUSED: Readonly<Record<string, readonly [major: number, minor: number] | "always">> = {
  cookie: [3, 0],
  "init-addr": "always",
  "log-bufsize": "always",
  "log-proto": "always",
  "max-reuse": "always",
  namespace: "always",
  "non-stick": "always",
  redir: "always",
  "resolve-net": "always",
  "resolve-opts": "always",
  "resolve-prefer": "always",
  resolvers: "always",
  socks4: "always",
  "tcp-ut": "always",
};

/**
 * Says whether `add server` can make a server with these words (of `default-server` lines, then of its own line, the address left out)
 * in a backend that balances like this. What else HAProxy may refuse, such as a value, it says itself.
 */
export function canAddServer(
  version: HaproxyVersion,
  words: readonly string[],
  balancing: Balancing,
): Addable {
  return canGrow(balancing) ?? canSay(version, words) ?? { ok: true };
}

function canGrow({ balance, hashType, mode = "http" }: Balancing): Addable | undefined {
  if (mode === "log" || mode === "spop") return no(`a backend in mode ${mode} takes no servers at runtime`);
  const algorithm = (balance[0] ?? "roundrobin").replace(/\(.*$/, "");
  if (DYNAMIC.has(algorithm)) return undefined;
  if (!HASHING.has(algorithm)) return no(`balance ${algorithm} takes no servers at runtime`);
  if (hashType[0] === "consistent") return undefined;
  return no(`balance ${algorithm} takes servers at runtime only with hash-type consistent`);
}

function canSay(version: HaproxyVersion, words: readonly string[]): Addable | undefined {
  const resolved = resolveServerWords(words).words;
  for (const [keyword = ""] of splitParameters(resolved)) {
    const from = REFUSED[keyword];
    if (from === undefined) continue;
    if (from === "always") return no(`${keyword} cannot be given to a server at runtime`);
    if (!isAtLeast(version, ...from)) {
      return no(
        `${keyword} cannot be given to a server at runtime before HAProxy ${from.join(".")}; this is ${version.text}`,
      );
    }
  }
  // `add server NAME ADDRESS` come before them.
  if (resolved.length + 4 > MAX_WORDS) return no(`HAProxy reads ${MAX_WORDS} words of a command at most`);
  return undefined;
}

function no(reason: string): Addable {
  return { ok: false, reason };
}
