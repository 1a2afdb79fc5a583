import { checkAuthorities, readCertificateFile, readPrivateKey } from "./certificate.ts";
import { readCrtList } from "./crt-list.ts";
import { invalidContent } from "./invalid-content.ts";
import type { FileKind } from "./kinds.ts";
import { checkPatternLines } from "./pattern-lines.ts";
import { namesPrivateKey, readPem } from "./pem.ts";
import { keysOf, ownersOf, readKeyBeside, type SideFile, sideFileOf } from "./side-files.ts";
import type { StagedFile } from "./staged-file.ts";

/** What a check looks at. */
export interface ContentCheck {
  readonly kind: FileKind;
  readonly name: string;
  readonly staged: StagedFile;
  /** Reads another file of the kind; undefined when there is none. */
  readonly read: (name: string) => Promise<Buffer | undefined>;
  /** For validity. */
  readonly now: number;
}

/** Throws `FIELD_INVALID` unless a staged file holds what its kind asks for. */
export async function checkContent(check: ContentCheck): Promise<void> {
  const { kind, staged } = check;
  switch (kind) {
    case "certificates":
      return checkCertificate(check);
    case "ca":
      return checkAuthorities(await textOf(staged));
    case "crl":
      return checkRevocationLists(await textOf(staged));
    case "crt-lists":
      readCrtList(await textOf(staged));
      return;
    case "maps":
    case "acls":
      return checkPatternLines(staged.pieces());
    case "general":
  }
}

async function checkCertificate(check: ContentCheck): Promise<void> {
  const { name, staged, read, now } = check;
  const side = sideFileOf(name);
  if (side !== undefined) return checkSideFile(side, check);
  readCertificateFile(await textOf(staged), await readKeyBeside(name, read), now);
}

async function checkSideFile(side: SideFile, check: ContentCheck): Promise<void> {
  const { staged } = check;
  if (side === "key") await checkKeyBeside(await textOf(staged), check);
  else if (side === "issuer") checkAuthorities(await textOf(staged));
  else if (side === "ocsp") checkOcspResponse(await staged.read());
  else checkTimestamps(await staged.read());
}

/** A key that does not fit the certificate which counts on it would keep HAProxy from starting. */
async function checkKeyBeside(text: string, { name, read }: ContentCheck): Promise<void> {
  readPrivateKey(text);
  for (const owner of ownersOf(name)) {
    const certificate = (await read(owner))?.toString("latin1");
    if (certificate !== undefined && keysOf(owner).includes(name) && !namesPrivateKey(certificate))
      readCertificateFile(certificate, text, 0);
  }
}

/** RFC 6960, 4.2.1: a sequence that begins with the status, which has to be 0 (successful). */
function checkOcspResponse(bytes: Buffer): void {
  const status = derSequence(bytes);
  if (status?.[0] === 0x0a && status[1] === 1 && status[2] === 0) return;
  throw invalidContent("is no successful OCSP response in DER");
}

/** RFC 6962, 3.3: a list with its length in front, and so each timestamp in it. */
function checkTimestamps(bytes: Buffer): void {
  let at = 2;
  if (bytes.length > 2 && bytes.readUInt16BE(0) === bytes.length - 2)
    while (at + 2 < bytes.length) at += 2 + bytes.readUInt16BE(at);
  if (at !== bytes.length || bytes.length <= 2)
    throw invalidContent("is no list of signed certificate timestamps");
}

function checkRevocationLists(text: string): void {
  const blocks = readPem(text);
  if (blocks === undefined) throw invalidContent("is cut short: a PEM block has no end");
  if (blocks.length === 0) throw invalidContent("holds no revocation list");
  for (const { label, text: block } of blocks) {
    const base64 = block.split("\n").slice(1, -1).join("");
    if (label !== "X509 CRL") throw invalidContent(`holds a ${label}, which is no revocation list`);
    if (derSequence(Buffer.from(base64, "base64")) === undefined)
      throw invalidContent("holds a revocation list that cannot be read");
  }
}

/** The inside of bytes that are one DER sequence; undefined when they are anything else. */
function derSequence(bytes: Buffer): Buffer | undefined {
  const [tag, short = 0] = bytes;
  if (tag !== 0x30) return undefined;
  const lengthBytes = short < 0x80 ? 0 : short & 0x7f;
  if (lengthBytes > 4 || bytes.length < 2 + lengthBytes) return undefined;
  const length = lengthBytes === 0 ? short : bytes.readUIntBE(2, lengthBytes);
  return bytes.length === 2 + lengthBytes + length ? bytes.subarray(2 + lengthBytes) : undefined;
}

async function textOf(staged: StagedFile): Promise<string> {
  return (await staged.read()).toString("latin1");
}
