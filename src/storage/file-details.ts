import type { X509Certificate } from "node:crypto";
import { keyTypeOf, readCertificates } from "./certificate.ts";
import type { FileKind } from "./kinds.ts";
import type { FileFacts } from "./known-files.ts";
import type { ManagedDirectory } from "./managed-directory.ts";
import { sideFileOf } from "./side-files.ts";
import type { CertificateFacts } from "./stored-file.ts";

/** What is read out of files, kept for as long as the file does not change. */
const KNOWN = new WeakMap<FileFacts, readonly CertificateFacts[]>();

/** The certificates of a file; empty for what is none, or cannot be read any more. */
export async function certificatesOf(
  directory: ManagedDirectory,
  kind: FileKind,
  facts: FileFacts,
): Promise<readonly CertificateFacts[]> {
  if (!holdsCertificates(kind, facts.name)) return [];
  let known = KNOWN.get(facts);
  if (known === undefined) {
    const bytes = await directory.read(facts.name);
    known = bytes === undefined ? [] : readFacts(bytes.toString("latin1"));
    KNOWN.set(facts, known);
  }
  return known;
}

function holdsCertificates(kind: FileKind, name: string): boolean {
  if (kind === "ca") return true;
  if (kind !== "certificates") return false;
  const side = sideFileOf(name);
  return side === undefined || side === "issuer";
}

/** A file that was put there by hand may hold anything; it is shown without details then. */
function readFacts(text: string): readonly CertificateFacts[] {
  try {
    return readCertificates(text).map(factsOf);
  } catch {
    return [];
  }
}

function factsOf(certificate: X509Certificate): CertificateFacts {
  return {
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    subjectAlternativeNames: namesOf(certificate.subjectAltName ?? ""),
    serialNumber: certificate.serialNumber,
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
    keyType: keyTypeOf(certificate),
    sha256Fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
  };
}

/** Node writes each part of a name on a line of its own. */
function oneLine(name: string | undefined): string {
  return (name ?? "").split("\n").join(", ");
}

/** Names with special characters are quoted, and may hold the separator. */
function namesOf(list: string): readonly string[] {
  return list.match(/(?:"(?:\\.|[^"\\])*"|[^,"])+/g)?.map((name) => name.trim()) ?? [];
}
