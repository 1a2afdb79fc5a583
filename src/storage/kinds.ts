/** What a file is for, as the second part of its resource name: `files/maps/hosts.map`. */
export type FileKind = "certificates" | "ca" | "crl" | "crt-lists" | "maps" | "acls" | "general";

/** The directories that settings name. */
export interface RootDirectories {
  readonly sslCerts: string;
  readonly maps: string;
  readonly general: string;
}

/** What holds for all files of a kind. */
export interface KindRules {
  readonly root: keyof RootDirectories;
  /** The setting that names the root. */
  readonly setting: string;
  /** Directory below the root; HAProxy reads every file in a directory of certificates as one, so other kinds have one of their own. */
  readonly below: string;
  /** Only its owner may read it (0600). */
  readonly secret: boolean;
  /** Private keys in it are left out of what is sent. */
  readonly hidesKeys: boolean;
  /** The most that is taken. What HAProxy keeps in memory in one piece is bounded so that garbage is refused early. */
  readonly maxBytes: number;
  /** For people. */
  readonly description: string;
}

const MIB = 1024 * 1024;

/** Every kind, in the order of the API. */
export const KINDS: Readonly<Record<FileKind, KindRules>> = {
  certificates: {
    ...{ root: "sslCerts", setting: "--ssl-certs-dir", below: "" },
    ...{ secret: true, hidesKeys: true, maxBytes: MIB, description: "managed SSL file" },
  },
  ca: {
    ...{ root: "sslCerts", setting: "--ssl-certs-dir", below: "ca" },
    ...{ secret: false, hidesKeys: true, maxBytes: 16 * MIB, description: "managed CA file" },
  },
  crl: {
    ...{ root: "sslCerts", setting: "--ssl-certs-dir", below: "crl" },
    ...{ secret: false, hidesKeys: false, maxBytes: 64 * MIB, description: "managed CRL file" },
  },
  "crt-lists": {
    ...{ root: "sslCerts", setting: "--ssl-certs-dir", below: "crt-lists" },
    ...{ secret: false, hidesKeys: false, maxBytes: 64 * MIB, description: "managed certificate list" },
  },
  maps: {
    ...{ root: "maps", setting: "--maps-dir", below: "" },
    ...{ secret: false, hidesKeys: false, maxBytes: 1024 * MIB, description: "managed map file" },
  },
  acls: {
    ...{ root: "maps", setting: "--maps-dir", below: "acls" },
    ...{ secret: false, hidesKeys: false, maxBytes: 1024 * MIB, description: "managed ACL file" },
  },
  general: {
    ...{ root: "general", setting: "--general-dir", below: "" },
    ...{
      secret: false,
      hidesKeys: false,
      maxBytes: 16 * 1024 * MIB,
      description: "managed general use file",
    },
  },
};

/** Resource name of a file. */
export function fileName(kind: FileKind, name: string): string {
  return `files/${kind}/${name}`;
}

/** Every kind. */
export const FILE_KINDS = Object.keys(KINDS) as readonly FileKind[];
