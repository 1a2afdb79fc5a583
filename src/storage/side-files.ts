/** Files that HAProxy loads with a certificate, by what their names end in. */
export type SideFile = "key" | "issuer" | "ocsp" | "sctl";

const SIDE = /^(.+)\.(key|issuer|ocsp|sctl)$/;

/** What a file beside a certificate is; undefined for a certificate. */
export function sideFileOf(name: string): SideFile | undefined {
  return SIDE.exec(name)?.[2] as SideFile | undefined;
}

/** The names that the certificate of a side file may have: `site.pem` for `site.pem.key`, and `site.crt` for `site.key` (`ssl-load-extra-del-ext`). */
export function ownersOf(name: string): readonly string[] {
  const stem = SIDE.exec(name)?.[1];
  return stem === undefined ? [] : [stem, `${stem}.crt`];
}

/** The text of the key that lies beside a certificate; undefined when there is none. */
export async function readKeyBeside(
  name: string,
  read: (name: string) => Promise<Buffer | undefined>,
): Promise<string | undefined> {
  let beside: Buffer | undefined;
  for (const key of keysOf(name)) beside ??= await read(key);
  return beside?.toString("latin1");
}

/** The names that the key of a certificate may have, the first that is there counts. */
export function keysOf(name: string): readonly string[] {
  return [`${name}.key`, ...(name.endsWith(".crt") ? [`${name.slice(0, -4)}.key`] : [])];
}
