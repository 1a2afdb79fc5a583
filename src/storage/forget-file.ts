import type { TlsTarget } from "./apply-tls.ts";
import type { FileKind } from "./kinds.ts";
import { attempt, type LiveOutcome } from "./live-outcome.ts";
import { ownersOf } from "./side-files.ts";

/** Has the worker forget a file that was removed. HAProxy has commands for that for certificates that nothing uses but a bind that names their whole directory. */
export async function forgetFile(target: TlsTarget, kind: FileKind, name: string): Promise<LiveOutcome> {
  const { directory, live } = target;
  const path = directory.pathOf(name);
  switch (kind) {
    case "certificates":
      return forgetCertificate(target, name);
    case "ca":
    case "crl":
      return keptIf((await live.sslFiles.names(kind === "ca" ? "ca-file" : "crl-file")).includes(path));
    case "crt-lists":
      return keptIf((await live.sslFiles.lists()).includes(path));
    case "maps":
    case "acls":
      return keptIf((await live.patternFiles.list()).some((file) => file.path === path));
    case "general":
      return { kind: "unloaded" };
  }
}

async function forgetCertificate({ directory, live }: TlsTarget, name: string): Promise<LiveOutcome> {
  const { sslFiles } = live;
  const loaded = new Set(await sslFiles.names("cert"));
  const path = directory.pathOf(name);
  if (!loaded.has(path)) return keptIf(ownersOf(name).some((owner) => loaded.has(directory.pathOf(owner))));
  return attempt("forgetting the certificate", async () => {
    const commands: string[] = [];
    if ((await sslFiles.lists()).includes(directory.path))
      for (const entry of (await sslFiles.listEntries(directory.path)).toReversed())
        if (entry.certificate === path)
          commands.push(...(await sslFiles.removeFromList(directory.path, entry)));
    return [...commands, ...(await sslFiles.remove(path))];
  });
}

function keptIf(isLoaded: boolean): LiveOutcome {
  return isLoaded
    ? { kind: "impossible", reason: "HAProxy has no command to forget it" }
    : { kind: "unloaded" };
}
