import { DomainError } from "../lib/errors.ts";
import { applyCrtList } from "./apply-crt-list.ts";
import { applyPatterns } from "./apply-patterns.ts";
import { applyCertificate, applyTrust } from "./apply-tls.ts";
import type { Directories } from "./directories.ts";
import type { FileKind } from "./kinds.ts";
import type { LiveFiles, Referrer } from "./live.ts";
import type { LiveOutcome } from "./live-outcome.ts";

/** Has the running worker follow a file that is in place, by commands. `former` is what a crt-list held before. */
export type Follow = (
  kind: FileKind,
  name: string,
  referrers: readonly Referrer[],
  former: string,
) => Promise<LiveOutcome>;

/** A reload in the middle is no failure: the new worker has read the file, and is compared with it. */
const MAX_ATTEMPTS = 3;

/** Makes what knows for each kind how a worker follows it. Rejects with `HAPROXY_UNAVAILABLE` while the configuration names the file and nobody answers. */
export function createFollow({
  directories,
  live,
}: {
  readonly directories: Directories;
  readonly live: LiveFiles;
}): Follow {
  const once: Follow = async (kind, name, referrers, former) => {
    const directory = directories[kind];
    switch (kind) {
      case "certificates":
        return applyCertificate({ directory, live }, name);
      case "ca":
        return applyTrust({ directory, live }, "ca-file", name);
      case "crl":
        return applyTrust({ directory, live }, "crl-file", name);
      case "crt-lists":
        return applyCrtList({ directory, certificates: directories.certificates, live, former }, name);
      case "maps":
      case "acls":
        return applyPatterns({ directory, live, referrers }, name);
      case "general":
        if (referrers.length === 0) return { kind: "unloaded" };
        return { kind: "impossible", reason: "HAProxy reads files of this kind only when it starts" };
    }
  };
  return async (kind, name, referrers, former) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await once(kind, name, referrers, former);
      } catch (error) {
        if (!(error instanceof DomainError) || error.reason !== "HAPROXY_UNAVAILABLE") throw error;
        if (referrers.length === 0) return { kind: "unloaded" };
        if (error.metadata.outcome !== "unknown" || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  };
}
