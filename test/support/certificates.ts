import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  X509Certificate,
} from "node:crypto";

/** A certificate with its key. */
export interface Issued {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  /** Upper case with colons, as Node and `tls` show it. */
  readonly fingerprint256: string;
}

/** An authority for one test: its certificates are trusted by whoever is given its own. */
export interface Authority extends Issued {
  /** A certificate for DNS names; the first is its common name. */
  issue(names: readonly string[], options?: IssueOptions): Issued;
  /** A list of certificates that are revoked, PEM. */
  revoke(...revoked: readonly Issued[]): string;
  /** An OCSP response in DER that says that one is good, for a week (RFC 6960, 4.2.1). */
  vouch(issued: Issued): Buffer;
}

/** How a certificate differs from the usual: valid from yesterday for a month, EC P-256. */
export interface IssueOptions {
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

const DAY_MS = 86_400_000;
const OID = {
  commonName: "550403",
  ecdsaSha256: "2a8648ce3d040302",
  basicConstraints: "551d13",
  subjectAltName: "551d11",
  crlNumber: "551d14",
  sha1: "2b0e03021a",
  ocspBasic: "2b0601050507300101",
};

/** Makes an authority. Everything is made in memory, without a program. */
export function createAuthority(name = "Test CA"): Authority {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const sign_ = (content: Buffer) => signed(content, privateKey);
  const issuer = nameOf(name);
  const own = issuedOf(
    sign_(tbs({ issuer, subject: issuer, key: privateKey, extensions: [authorityExtension()], options: {} })),
    privateKey,
  );
  return {
    ...own,
    issue(names, options = {}) {
      const { privateKey: key } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const subject = nameOf(names[0] ?? "");
      const content = tbs({ issuer, subject, key, extensions: [namesExtension(names)], options });
      return issuedOf(sign_(content), key);
    },
    revoke(...revoked) {
      const entries = revoked.map(({ certificate }) =>
        sequence(
          integer(Buffer.from(new X509Certificate(certificate).serialNumber, "hex")),
          time(new Date(Date.now() - DAY_MS)),
        ),
      );
      const content = sequence(
        integer(Buffer.of(1)),
        sequence(oid(OID.ecdsaSha256)),
        issuer,
        time(new Date(Date.now() - DAY_MS)),
        time(new Date(Date.now() + 30 * DAY_MS)),
        ...(entries.length === 0 ? [] : [sequence(...entries)]),
        tagged(0xa0, sequence(extension(OID.crlNumber, integer(Buffer.of(revoked.length + 1))))),
      );
      return pem("X509 CRL", sign_(content));
    },
    vouch({ certificate }) {
      const serial = integer(Buffer.from(new X509Certificate(certificate).serialNumber, "hex"));
      const point = createPublicKey(privateKey).export({ type: "spki", format: "der" }).subarray(-65);
      const sha1 = (bytes: Buffer) => tagged(0x04, createHash("sha1").update(bytes).digest());
      const id = sequence(sequence(oid(OID.sha1), tagged(0x05)), ...[sha1(issuer), sha1(point), serial]);
      const [from, until] = [new Date(Date.now() - DAY_MS), new Date(Date.now() + 7 * DAY_MS)].map(
        generalizedTime,
      ) as [Buffer, Buffer];
      const data = sequence(
        ...[tagged(0xa1, issuer), from],
        sequence(sequence(id, tagged(0x80), from, tagged(0xa0, until))),
      );
      const basic = tagged(0x04, sign_(data));
      return sequence(tagged(0x0a, Buffer.of(0)), tagged(0xa0, sequence(oid(OID.ocspBasic), basic)));
    },
  };
}

interface Tbs {
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly key: KeyObject;
  readonly extensions: readonly Buffer[];
  readonly options: IssueOptions;
}

function tbs({ issuer, subject, key, extensions, options }: Tbs): Buffer {
  const serial = Buffer.concat([Buffer.of(0x41), crypto.getRandomValues(Buffer.alloc(15))]);
  return sequence(
    tagged(0xa0, integer(Buffer.of(2))),
    integer(serial),
    sequence(oid(OID.ecdsaSha256)),
    issuer,
    sequence(
      time(options.notBefore ?? new Date(Date.now() - DAY_MS)),
      time(options.notAfter ?? new Date(Date.now() + 30 * DAY_MS)),
    ),
    subject,
    createPublicKey(key).export({ type: "spki", format: "der" }),
    tagged(0xa3, sequence(...extensions)),
  );
}

function signed(content: Buffer, key: KeyObject): Buffer {
  const signature = sign("sha256", content, key);
  return sequence(content, sequence(oid(OID.ecdsaSha256)), tagged(0x03, Buffer.of(0), signature));
}

function issuedOf(der: Buffer, key: KeyObject): Issued {
  const certificate = pem("CERTIFICATE", der);
  return {
    certificate,
    key: String(key.export({ type: "pkcs8", format: "pem" })),
    fingerprint256: new X509Certificate(certificate).fingerprint256,
  };
}

function nameOf(commonName: string): Buffer {
  return sequence(tagged(0x31, sequence(oid(OID.commonName), tagged(0x0c, Buffer.from(commonName)))));
}

function authorityExtension(): Buffer {
  return extension(OID.basicConstraints, sequence(tagged(0x01, Buffer.of(0xff))));
}

function namesExtension(names: readonly string[]): Buffer {
  return extension(OID.subjectAltName, sequence(...names.map((name) => tagged(0x82, Buffer.from(name)))));
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), tagged(0x04, value));
}

function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]/g, "").slice(2, 14);
  return tagged(0x17, Buffer.from(`${digits}Z`));
}

function generalizedTime(date: Date): Buffer {
  return tagged(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`));
}

function oid(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, "hex"));
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, ...parts);
}

function tagged(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
