import { DomainError } from "../lib/errors.ts";
import { readCertificateFile, readCertificates } from "./certificate.ts";
import type { LiveFiles, LiveSslFiles, SslPart } from "./live.ts";
import { attempt, type LiveOutcome } from "./live-outcome.ts";
import type { ManagedDirectory } from "./managed-directory.ts";
import { isPrivateKey, writePem } from "./pem.ts";
import { ownersOf, readKeyBeside, type SideFile, sideFileOf } from "./side-files.ts";

/** Where the certificates are, and what runs. */
export interface TlsTarget {
  readonly directory: ManagedDirectory;
  readonly live: LiveFiles;
}

/** Has the worker serve the certificate, or the file beside one, that is in place. */
export async function applyCertificate({ directory, live }: TlsTarget, name: string): Promise<LiveOutcome> {
  const { sslFiles } = live;
  const side = sideFileOf(name);
  const loaded = new Set(await sslFiles.names("cert"));
  if (side !== undefined) return applySideFile(directory, sslFiles, name, side, loaded);

  const path = directory.pathOf(name);
  const { parts, fingerprint } = await certificateParts(directory, name);
  if (loaded.has(path)) {
    if ((await sslFiles.fingerprints("cert", path))?.includes(fingerprint) && (await isSame()))
      return { kind: "done", commands: [] };
    return attempt("the certificate", async () => {
      const commands = await sslFiles.replace("cert", path, parts);
      await verify(sslFiles, path, fingerprint);
      return commands;
    });
  }
  // A directory that a bind names is a list of all that is in it.
  const lists = await sslFiles.lists();
  if (!lists.includes(directory.path)) return { kind: "unloaded" };
  return attempt("the certificate", async () => [
    ...(await sslFiles.add(path, parts)),
    ...(await sslFiles.addToList(directory.path, path)),
  ]);

  /** The fingerprint says nothing of the chain, so what is served is only known to be the same when both are a lone certificate. */
  async function isSame(): Promise<boolean> {
    const text = await directory.read(name);
    if (text === undefined || readCertificates(text.toString("latin1")).length > 1) return false;
    return !(await sslFiles.hasChain(path));
  }
}

/** What HAProxy is sent of a certificate: nothing but its blocks, with the key that may lie beside it. */
export async function certificateParts(
  directory: ManagedDirectory,
  name: string,
): Promise<{ readonly parts: readonly SslPart[]; readonly fingerprint: string }> {
  const text = await textOf(directory, name);
  const beside = await readKeyBeside(name, (other) => directory.read(other));
  const { certificates, blocks, key } = readCertificateFile(text, beside, 0);
  const hasKey = blocks.some(isPrivateKey);
  const own = hasKey || key === undefined ? "" : String(key.export({ type: "pkcs8", format: "pem" }));
  return {
    parts: [{ path: directory.pathOf(name), text: writePem(blocks) + own }],
    fingerprint: certificates[0]!.fingerprint.replaceAll(":", ""),
  };
}

async function applySideFile(
  directory: ManagedDirectory,
  sslFiles: LiveSslFiles,
  name: string,
  side: SideFile,
  loaded: ReadonlySet<string>,
): Promise<LiveOutcome> {
  const owner = ownersOf(name).find((candidate) => loaded.has(directory.pathOf(candidate)));
  if (owner === undefined) return { kind: "unloaded" };
  if (side === "sctl")
    return {
      kind: "impossible",
      reason: "HAProxy reads signed timestamps only from a file, which takes a reload",
    };
  const bytes = await directory.read(name);
  const text = side === "ocsp" ? bytes?.toString("base64") : bytes?.toString("latin1");
  const part = { path: directory.pathOf(name), text: text ?? "" };
  return attempt(`the .${side} of a certificate`, () =>
    sslFiles.replace("cert", directory.pathOf(owner), [part]),
  );
}

/** Has the worker trust what is in a CA file, or refuse what is in a revocation list. */
export async function applyTrust(
  { directory, live: { sslFiles } }: TlsTarget,
  store: "ca-file" | "crl-file",
  name: string,
): Promise<LiveOutcome> {
  const path = directory.pathOf(name);
  if (!(await sslFiles.names(store)).includes(path)) return { kind: "unloaded" };
  const text = await textOf(directory, name);
  const wanted = store === "ca-file" ? fingerprintsOf(text) : undefined;
  if (wanted !== undefined && isSameSet(await sslFiles.fingerprints("ca-file", path), wanted))
    return { kind: "done", commands: [] };
  return attempt(store === "ca-file" ? "the CA file" : "the revocation list", async () => {
    const commands = await sslFiles.replace(store, path, [{ path, text }]);
    if (wanted !== undefined && !isSameSet(await sslFiles.fingerprints("ca-file", path), wanted))
      throw notServed(path);
    return commands;
  });
}

function fingerprintsOf(text: string): readonly string[] {
  return readCertificates(text).map(({ fingerprint }) => fingerprint.replaceAll(":", ""));
}

function isSameSet(a: readonly string[] | undefined, b: readonly string[]): boolean {
  const [left, right] = [new Set(a), new Set(b)];
  return left.size === right.size && [...left].every((one) => right.has(one));
}

async function verify(sslFiles: LiveSslFiles, path: string, fingerprint: string): Promise<void> {
  const served = await sslFiles.fingerprints("cert", path);
  if (!served?.includes(fingerprint)) throw notServed(path);
}

function notServed(path: string): DomainError {
  return new DomainError("HAPROXY_REFUSED", `HAProxy took ${path} and does not have it`);
}

async function textOf(directory: ManagedDirectory, name: string): Promise<string> {
  return ((await directory.read(name)) ?? Buffer.alloc(0)).toString("latin1");
}
