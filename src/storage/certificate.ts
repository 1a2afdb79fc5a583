import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { invalidContent } from "./invalid-content.ts";
import { isCertificate, isPrivateKey, namesPrivateKey, type PemBlock, readPem } from "./pem.ts";

/** What a PEM file of the kind `certificates` holds. */
export interface CertificateFile {
  /** The certificate that is served first, then its chain. */
  readonly certificates: readonly X509Certificate[];
  readonly key: KeyObject | undefined;
  readonly blocks: readonly PemBlock[];
}

/** Blocks that HAProxy reads beside certificates and keys. */
const PARAMETERS = ["DH PARAMETERS", "EC PARAMETERS"];

/** Reads the certificates of a PEM text. Throws `FIELD_INVALID` when it is no PEM, or one is broken. */
export function readCertificates(text: string): readonly X509Certificate[] {
  return readBlocks(text).filter(isCertificate).map(readCertificate);
}

/** Checks certificates of authorities. Throws `FIELD_INVALID` for a private key among them as well: nobody needs it there, and the file is no secret. */
export function checkAuthorities(text: string): void {
  if (readCertificates(text).length === 0) throw invalidContent("holds no certificate");
  if (namesPrivateKey(text))
    throw invalidContent("holds a private key, which belongs into a file of the kind certificates");
}

/**
 * Reads a file of certificates and perhaps a key, and checks that they belong together: the key to the first certificate, and each certificate issued by the next. `keyBeside` is the text of the key that lies beside
 * the file, for one without a key of its own. Throws `FIELD_INVALID`.
 */
export function readCertificateFile(
  text: string,
  keyBeside: string | undefined,
  now: number,
): CertificateFile {
  const blocks = readBlocks(text);
  const unknown = blocks.find(
    (block) => !isCertificate(block) && !isPrivateKey(block) && !PARAMETERS.includes(block.label),
  );
  if (unknown !== undefined)
    throw invalidContent(`holds a ${unknown.label}, which HAProxy does not read in it`);
  const certificates = blocks.filter(isCertificate).map(readCertificate);
  const [first] = certificates;
  if (first === undefined) throw invalidContent("holds no certificate");
  const key = readKey(blocks) ?? (keyBeside === undefined ? undefined : readPrivateKey(keyBeside));
  if (key === undefined)
    throw invalidContent(
      "holds no private key, and there is none beside it; store NAME.key first, or both in one file",
    );
  if (!first.checkPrivateKey(key)) throw mismatch(certificates, key);
  if (Date.parse(first.validTo) < now)
    throw invalidContent(`holds a certificate that expired on ${first.validTo}`);
  checkChain(certificates);
  return { certificates, key, blocks };
}

/** Reads a file that holds a private key and nothing else. Throws `FIELD_INVALID`. */
export function readPrivateKey(text: string): KeyObject {
  const key = readKey(readBlocks(text));
  if (key === undefined) throw invalidContent("holds no private key");
  return key;
}

/** `RSA 2048`, `EC prime256v1`, `ED25519`. */
export function keyTypeOf({ publicKey }: X509Certificate): string {
  const { asymmetricKeyType = "", asymmetricKeyDetails } = publicKey;
  const size = asymmetricKeyDetails?.modulusLength ?? asymmetricKeyDetails?.namedCurve;
  return [asymmetricKeyType.toUpperCase(), size].filter((part) => part !== undefined).join(" ");
}

function readBlocks(text: string): readonly PemBlock[] {
  if (text.trim() === "") throw invalidContent("is empty");
  const blocks = readPem(text);
  if (blocks === undefined) throw invalidContent("is cut short: a PEM block has no end");
  if (blocks.length === 0) throw invalidContent("holds no PEM block");
  return blocks;
}

function readCertificate({ text }: PemBlock, index: number): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch {
    throw invalidContent(`holds a certificate that cannot be read, the ${index + 1}. in it`);
  }
}

function readKey(blocks: readonly PemBlock[]): KeyObject | undefined {
  const keys = blocks.filter(isPrivateKey);
  const [first] = keys;
  if (first === undefined) return undefined;
  if (keys.length > 1) throw invalidContent("holds more than one private key");
  if (first.label.startsWith("ENCRYPTED") || /^Proc-Type: 4,ENCRYPTED/m.test(first.text))
    throw invalidContent("holds a private key with a passphrase, which HAProxy would have to ask for");
  try {
    return createPrivateKey(first.text);
  } catch {
    throw invalidContent("holds a private key that cannot be read");
  }
}

function mismatch(certificates: readonly X509Certificate[], key: KeyObject) {
  const place = certificates.findIndex((certificate) => certificate.checkPrivateKey(key));
  return place === -1
    ? invalidContent(
        "does not belong together with its private key, in it or beside it; store both in one file to change both",
      )
    : invalidContent(
        `begins with another certificate than that of its key, which is certificate ${place + 1} in it`,
      );
}

function checkChain(certificates: readonly X509Certificate[]): void {
  for (const [index, certificate] of certificates.entries()) {
    const issuer = certificates[index + 1];
    if (issuer === undefined || certificate.checkIssued(issuer)) continue;
    throw invalidContent(
      `has its chain out of order: certificate ${index + 2} is not the issuer of the one before it`,
    );
  }
}
