import { certificateParts } from "./apply-tls.ts";
import { readCrtList } from "./crt-list.ts";
import type { LiveFiles } from "./live.ts";
import { attempt, type LiveOutcome } from "./live-outcome.ts";
import type { ManagedDirectory } from "./managed-directory.ts";

/** A crt-list, the certificates that it may name, and what runs. */
export interface CrtListTarget {
  readonly directory: ManagedDirectory;
  readonly certificates: ManagedDirectory;
  readonly live: LiveFiles;
  /** What the file held before; the worker is believed to have it. */
  readonly former: string;
}

/**
 * Has the worker follow a crt-list: lines that went are removed, new ones at the end are added, with their certificates. The first line is the default certificate and order decides between names, so anything else
 * takes a reload.
 */
export async function applyCrtList(target: CrtListTarget, name: string): Promise<LiveOutcome> {
  const { directory, certificates, live, former } = target;
  const { sslFiles } = live;
  const path = directory.pathOf(name);
  if (!(await sslFiles.lists()).includes(path)) return { kind: "unloaded" };
  const wanted = readCrtList(((await directory.read(name)) ?? Buffer.alloc(0)).toString("latin1"));
  const before = readCrtList(former);
  const loaded = await sslFiles.listEntries(path);
  const isAsBefore =
    loaded.length === before.length &&
    loaded.every(({ certificate }, index) => certificate === before[index]!.certificate);
  if (!isAsBefore)
    return {
      kind: "impossible",
      reason: "HAProxy has other entries than the file had, which takes a reload",
    };

  let kept = 0;
  const gone = loaded.filter((_, index) => {
    const isKept = before[index]!.text === wanted[kept]?.text;
    if (isKept) kept += 1;
    return !isKept;
  });
  if (kept === 0 && before.length > 0)
    return { kind: "impossible", reason: "another default certificate takes a reload" };
  return attempt("the certificate list", async () => {
    const commands: string[] = [];
    const known = new Set(await sslFiles.names("cert"));
    for (const { certificate, text } of wanted.slice(kept)) {
      if (!known.has(certificate) && certificate.startsWith(`${certificates.path}/`)) {
        const { parts } = await certificateParts(
          certificates,
          certificate.slice(certificates.path.length + 1),
        );
        commands.push(...(await sslFiles.add(certificate, parts)));
        known.add(certificate);
      }
      commands.push(...(await sslFiles.addToList(path, text)));
    }
    // From the end, so that the numbers of the others stay.
    for (const entry of gone.reverse()) commands.push(...(await sslFiles.removeFromList(path, entry)));
    return commands;
  });
}
