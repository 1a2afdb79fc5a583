import { X509Certificate } from "node:crypto";

/** What is wrong with when a certificate is valid. `untimely`: no client that looks accepts it today. `ending`: it will soon be so. */
export interface ValidityTrouble {
  readonly kind: "untimely" | "ending";
  /** In a sentence without a full stop. */
  readonly what: string;
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * Says which certificates of a PEM file that is served, the issuers in it included, are not valid now, or end within `noticeMs`. `path` is for the sentences, `now` in milliseconds since 1970.
 */
export function validityTroubles(
  { path, pem }: { readonly path: string; readonly pem: Buffer },
  now: number,
  noticeMs: number,
): readonly ValidityTrouble[] {
  const certificates = pem.toString("latin1").match(BLOCK) ?? [];
  return certificates.flatMap((text, index) => {
    const { validFrom, validTo } = new X509Certificate(text);
    const [begins, ends] = [Date.parse(validFrom), Date.parse(validTo)];
    const which = index === 0 ? "the certificate" : `the ${index + 1}. certificate`;
    const tell = (kind: ValidityTrouble["kind"], verb: string, time: number) => [
      { kind, what: `${which} of ${path} ${verb} ${new Date(time).toISOString()}` },
    ];
    if (ends < now) return tell("untimely", "has expired: it ended on", ends);
    if (begins > now) return tell("untimely", "is not valid yet: it begins on", begins);
    return ends - noticeMs < now ? tell("ending", "ends soon, on", ends) : [];
  });
}
