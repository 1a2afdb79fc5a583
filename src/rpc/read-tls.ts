import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { whyUnreadable } from "../lib/files.ts";
import { requireRegular } from "../lib/regular-file.ts";
import { StartError } from "../lib/start-error.ts";
import { formatListenAddress, isLoopback, type ListenAddress } from "./listener.ts";
import type { TlsMaterial } from "./tls.ts";

/** Reads what TLS is served with from PEM files. Throws a StartError when one cannot be read, or they do not fit together. */
export async function readTls(files: {
  readonly certificate: string;
  readonly key: string;
  readonly ca: string | undefined;
}): Promise<TlsMaterial> {
  const { certificate, key, ca } = files;
  const material: TlsMaterial = {
    certificate: await read(certificate),
    key: await read(key),
    ca: ca === undefined ? undefined : await read(ca),
  };
  try {
    createSecureContext({
      cert: material.certificate,
      key: material.key,
      ...(material.ca !== undefined && { ca: material.ca }),
    });
  } catch (error) {
    const names = [certificate, key, ...(ca === undefined ? [] : [ca])].join(", ");
    throw new StartError(`TLS cannot be served with ${names}: ${(error as Error).message}`, { cause: error });
  }
  return material;
}

/** Throws a StartError for an address that other machines can reach: whoever listens on the way would read the tokens. */
export function refusePlaintext(address: ListenAddress): void {
  if (isLoopback(address)) return;
  throw new StartError(
    `${formatListenAddress(address)} can be reached from other machines: give --tls-certificate and --tls-key, or say --allow-plaintext`,
  );
}

async function read(path: string): Promise<Buffer> {
  try {
    requireRegular(path);
    return await readFile(path);
  } catch (error) {
    throw new StartError(`${path} cannot be read: ${whyUnreadable(error)}`, { cause: error });
  }
}
