import type { Address } from "../lib/address.ts";

/** Which defaults hold: `start` is the embedded default of a checkout, `serve` is production. */
export type Profile = "start" | "serve";

/** Who may use reflection without credentials. */
export type ReflectionPolicy = "on" | "local" | "off";

/** Roles by the words that settings have for them. */
export type RoleName = "viewer" | "operator" | "editor" | "admin";

/** A directory for each sort of files. */
export interface StorageDirectories {
  readonly sslCerts: string;
  readonly maps: string;
  readonly general: string;
  readonly spoe: string;
}

/** Where what TLS is served with is, as PEM. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  /** Undefined: clients are not asked for a certificate. */
  readonly ca: string | undefined;
}

/** The settings of one run, checked. What each means, its schema says: proto/haplane/settings/v1/settings.proto. */
export interface Settings {
  readonly stateDir: string;
  readonly grpc: Address;
  readonly connect: Address;
  /** Undefined: look for it. */
  readonly haproxy: string | undefined;
  readonly config: readonly string[];
  /** Undefined: haplane runs HAProxy itself. */
  readonly masterSocket: string | undefined;
  /** Undefined: as the configuration says. */
  readonly statsSocket: string | undefined;
  /** Where the files are that HAProxy reads beside its configuration. */
  readonly directories: StorageDirectories;
  /** How often entries that others change are written back, in milliseconds; undefined: never. */
  readonly updateMapFilesMs: number | undefined;
  /** How long before its end a certificate is told of, in milliseconds. */
  readonly certificateNoticeMs: number;
  /** Names or numbers; undefined: haplane's own. */
  readonly storageOwner: string | undefined;
  readonly storageGroup: string | undefined;
  /** Undefined: plain text. */
  readonly tls: TlsFiles | undefined;
  /** Undefined: only certificates that are bound to a role are let in. */
  readonly tlsClientRole: RoleName | undefined;
  readonly allowPlaintext: boolean;
  /** Undefined: no users of the configuration come with HTTP Basic. */
  readonly userlist: string | undefined;
  /** Undefined: only users that are bound to a role are let in. */
  readonly userlistRole: RoleName | undefined;
  readonly reflection: ReflectionPolicy;
  readonly readOnly: boolean;
  readonly reloadDelayMs: number;
  readonly reloadIntervalMs: number;
  readonly maxOldWorkers: number;
  readonly externalEdits: "adopt" | "hold";
  readonly logLevel: string;
  /** Undefined: standard error. */
  readonly logFile: string | undefined;
  readonly http: Address;
  /** Undefined: no Consul. */
  readonly consul: Address | undefined;
}
