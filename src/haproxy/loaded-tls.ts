/** A certificate as the worker describes it (management guide, section 9.3, `show ssl cert`, `show ssl ca-file`). Times are milliseconds since 1970. */
export interface LoadedCertificate {
  readonly serial: string;
  readonly notBefore: number | undefined;
  readonly notAfter: number | undefined;
  readonly subjectAlternativeNames: string[];
  readonly algorithm: string;
  readonly sha1Fingerprint: string;
  readonly subject: string;
  readonly issuer: string;
  readonly chainSubjects: string[];
  readonly ocspResponseId: string;
}

/** A revocation list (`show ssl crl-file`). */
export interface LoadedCrl {
  readonly issuer: string;
  readonly lastUpdate: number | undefined;
  readonly nextUpdate: number | undefined;
  readonly signatureAlgorithm: string;
  readonly revokedSerials: string[];
}

/** A line of a crt-list (`show ssl crt-list -n`). */
export interface LoadedCrtListEntry {
  readonly certificate: string;
  readonly line: number;
  readonly options: string;
  readonly filters: string[];
}

/** An OCSP response (`show ssl ocsp-response`). */
export interface LoadedOcspResponse {
  readonly id: string;
  readonly certificate: string;
  readonly issuerNameHash: string;
  readonly issuerKeyHash: string;
  readonly serial: string;
}

/** What a response says (`show ssl ocsp-response ID`). */
export interface OcspDetails {
  readonly certificateStatus: string;
  readonly producedAt: number | undefined;
  readonly thisUpdate: number | undefined;
  readonly nextUpdate: number | undefined;
}

/** What HAProxy says of a file's use. */
export function parseStatus(answer: string): string {
  return factsOf(answer)("Status");
}

/** The certificates of a certificate file or a CA file. */
export function parseCertificates(answer: string): LoadedCertificate[] {
  return blocksAt(answer, /^Serial: /).map((block) => {
    const fact = factsOf(block);
    return {
      serial: fact("Serial"),
      notBefore: timeOf(fact("notBefore")),
      notAfter: timeOf(fact("notAfter")),
      subjectAlternativeNames: fact("Subject Alternative Name")
        .split(", ")
        .filter((name) => name !== ""),
      algorithm: fact("Algorithm"),
      sha1Fingerprint: fact("SHA1 FingerPrint"),
      subject: fact("Subject"),
      issuer: fact("Issuer"),
      chainSubjects: [...block.matchAll(/^Chain Subject: (.*)$/gm)].map(([, subject]) => subject as string),
      ocspResponseId: fact("OCSP Response Key"),
    };
  });
}

/** The lists of a CRL file. */
export function parseCrls(answer: string): LoadedCrl[] {
  return blocksAt(answer, /^Certificate Revocation List #/).map((block) => {
    const fact = factsOf(block);
    return {
      issuer: fact("Issuer"),
      lastUpdate: timeOf(fact("Last Update")),
      nextUpdate: timeOf(fact("Next Update")),
      signatureAlgorithm: fact("Signature Algorithm"),
      revokedSerials: [...block.matchAll(/^\s*Serial Number: (\S+)/gm)].map(([, serial]) => serial as string),
    };
  });
}

/** The lines of a crt-list. */
export function parseCrtList(answer: string): LoadedCrtListEntry[] {
  return answer.split("\n").flatMap((text) => {
    const [, certificate, line, options = "", filters = ""] =
      /^(?!#)(.+?):(\d+)(?: \[(.*?) ?\])?(?: (.*))?$/.exec(text) ?? [];
    if (certificate === undefined) return [];
    // HAProxy prints a NUL behind alpn.
    return [
      {
        certificate,
        line: Number(line),
        options: options.replaceAll("\0", ""),
        filters: filters.split(" ").filter((one) => one !== ""),
      },
    ];
  });
}

/** The responses that are loaded. */
export function parseOcspResponses(answer: string): LoadedOcspResponse[] {
  return blocksAt(answer, /^Certificate ID key : /).map((block) => {
    const find = (pattern: RegExp) => pattern.exec(block)?.[1] ?? "";
    return {
      id: find(/^Certificate ID key : (\S+)/m),
      certificate: find(/^Certificate path : (.+)$/m),
      issuerNameHash: find(/Issuer Name Hash: (\S+)/),
      issuerKeyHash: find(/Issuer Key Hash: (\S+)/),
      serial: find(/Serial Number: (\S+)/),
    };
  });
}

/** What one of them says. */
export function parseOcspDetails(answer: string): OcspDetails {
  const find = (name: string) => new RegExp(`^\\s*${name}: (.*)$`, "m").exec(answer)?.[1] ?? "";
  return {
    certificateStatus: find("Cert Status"),
    producedAt: timeOf(find("Produced At")),
    thisUpdate: timeOf(find("This Update")),
    nextUpdate: timeOf(find("Next Update")),
  };
}

/** The text from each line that matches to before the next. */
function blocksAt(answer: string, begin: RegExp): string[] {
  const blocks: string[][] = [];
  for (const line of answer.split("\n")) {
    if (begin.test(line)) blocks.push([]);
    blocks.at(-1)?.push(line);
  }
  return blocks.map((lines) => lines.join("\n"));
}

/** Reads lines of the form `Name: value`. */
function factsOf(block: string): (name: string) => string {
  const facts = new Map<string, string>();
  for (const [, name, value] of block.matchAll(/^([\w ]+): ?(.*)$/gm))
    if (!facts.has(name as string)) facts.set(name as string, (value as string).trimEnd());
  return (name) => facts.get(name) ?? "";
}

/** OpenSSL's way to write a time: `Nov 24 13:02:21 2026 GMT`. */
function timeOf(text: string): number | undefined {
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}
