/** A part of a PEM file, between its BEGIN and END lines. */
export interface PemBlock {
  /** The words after BEGIN, such as `CERTIFICATE`. */
  readonly label: string;
  /** The block with its BEGIN and END lines, without a newline at the end. */
  readonly text: string;
}

const BEGIN = /^-----BEGIN ([A-Z0-9 ]+)-----\s*$/;

/** The blocks of a PEM text, in order; what stands around them is left out. Undefined when a block has no end. */
export function readPem(text: string): readonly PemBlock[] | undefined {
  const blocks: PemBlock[] = [];
  let lines: string[] = [];
  let label: string | undefined;
  for (const line of text.split(/\r?\n/)) {
    const begins = BEGIN.exec(line)?.[1];
    if (begins !== undefined) {
      if (label !== undefined) return undefined;
      label = begins;
      lines = [];
    }
    if (label === undefined) continue;
    if (line.trim() !== "") lines.push(line.trimEnd());
    if (line.trimEnd() !== `-----END ${label}-----`) continue;
    blocks.push({ label, text: lines.join("\n") });
    label = undefined;
  }
  return label === undefined ? blocks : undefined;
}

/** Whether a block is a private key, in any of its forms. */
export function isPrivateKey({ label }: PemBlock): boolean {
  return label.endsWith("PRIVATE KEY");
}

/** Whether a text says that it holds a private key, however broken that is. */
export function namesPrivateKey(text: string): boolean {
  return text.includes("PRIVATE KEY");
}

/** Whether a block is a certificate. */
export function isCertificate({ label }: PemBlock): boolean {
  return label === "CERTIFICATE" || label === "X509 CERTIFICATE" || label === "TRUSTED CERTIFICATE";
}

/** The text of some blocks. */
export function writePem(blocks: readonly PemBlock[]): string {
  return blocks.map(({ text }) => `${text}\n`).join("");
}
