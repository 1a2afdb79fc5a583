import type { Role } from "../../gen/haplane/v1/options_pb.js";
import type { Address } from "../lib/address.ts";

/** Which defaults hold: `start` is the embedded default of a checkout, `serve` is production. */
export type Profile = "start" | "serve";

/** Who may use reflection without credentials. */
export type ReflectionPolicy = "on" | "local" | "off";

/** A user who comes with HTTP Basic. */
export interface UserSetting {
  readonly name: string;
  /** In clear, or `$5$…` and `$6$…`. */
  readonly password: string;
  readonly role: Role;
}

/** The role of some users and certificates. */
export interface BindingSetting {
  readonly role: Role;
  readonly users: readonly string[];
  /** `CN=NAME`, or alternative names as Node writes them, such as `DNS:NAME`. */
  readonly certificates: readonly string[];
}

/** What a peer may use. Times in milliseconds. */
export interface LimitSettings {
  readonly maxFailedLogins: number;
  readonly maxConnections: number;
  readonly maxConcurrentStreams: number;
  readonly maxCallsPerPeer: number;
  readonly maxWatchers: number;
  readonly maxRequestBytes: number;
  readonly maxHeaderBytes: number;
  readonly maxUploadBytes: number;
  readonly uploadIdleMs: number;
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
}

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
  /** How long events are kept, in milliseconds, and how much of them. */
  readonly eventRetentionMs: number;
  readonly eventRetentionBytes: number;
  /** How long before its end a certificate is told of, in milliseconds. */
  readonly certificateNoticeMs: number;
  /** Names or numbers; undefined: haplane's own. */
  readonly storageOwner: string | undefined;
  readonly storageGroup: string | undefined;
  /** Undefined: plain text. */
  readonly tls: TlsFiles | undefined;
  /** Undefined: only certificates that are bound to a role are let in. */
  readonly tlsClientRole: Role | undefined;
  readonly allowPlaintext: boolean;
  /** Undefined: no users of the configuration come with HTTP Basic. */
  readonly userlist: string | undefined;
  /** Undefined: only users that are bound to a role are let in. */
  readonly userlistRole: Role | undefined;
  readonly tokensFile: string;
  /** Whether `admin.token` of the state directory is made and taken. */
  readonly adminToken: boolean;
  readonly users: readonly UserSetting[];
  /** The first that names somebody counts. */
  readonly bindings: readonly BindingSetting[];
  /** Origins of browsers whose pages may call. */
  readonly corsOrigins: readonly string[];
  readonly limits: LimitSettings;
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
