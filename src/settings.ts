import { parseArgs } from "node:util";
import { type Address, parseAddress } from "./lib/address.ts";

/** A part of haplane's settings: name, meaning, and how its text is read. */
interface Setting {
  /** One line for `--help`. */
  readonly help: string;
  /** What stands for the value in `--help`; none for a flag without one. */
  readonly value?: string;
  /** The flag may be given more than once. */
  readonly multiple?: boolean;
  /** Further environment variables, known from the Data Plane API. */
  readonly variables?: readonly string[];
}

/**
 * Every setting, by its flag's name. The environment has the same names: `--state-dir` is `HAPLANE_STATE_DIR`; a flag wins over the environment. This table is
 * the only place that knows them; `--help` and docs/settings.md are printed from it.
 */
export const SETTINGS = {
  "state-dir": {
    value: "DIR",
    help: "haplane's own directory: history, tokens, sockets. Default: .haplane/state (start), /var/lib/haplane (serve)",
  },
  grpc: { value: "ADDRESS", help: "where gRPC listens. Default 127.0.0.1:5555" },
  connect: {
    value: "ADDRESS",
    help: "where Connect, gRPC-Web, JSON, /metrics and /healthz listen. Default 127.0.0.1:5556",
  },
  haproxy: {
    value: "FILE",
    help: "HAProxy's binary. Default: the first haproxy on PATH or in /usr/sbin, /usr/local/sbin",
  },
  config: {
    value: "FILE",
    multiple: true,
    help: "haproxy.cfg; more than once for several files. Default: STATE_DIR/haproxy.cfg (start), /etc/haproxy/haproxy.cfg (serve)",
  },
  "master-socket": {
    value: "FILE",
    help: "master socket of an HAProxy that somebody else runs; without it haplane runs HAProxy itself",
  },
  "stats-socket": {
    value: "FILE",
    help: "HAProxy's stats socket. Default: the first unix `stats socket` with level admin in the configuration",
  },
  "ssl-certs-dir": {
    value: "DIR",
    help: "certificates; CA files, CRLs and crt-lists in directories of their own below it. Default: STATE_DIR/ssl (start), /etc/haproxy/ssl (serve)",
  },
  "maps-dir": {
    value: "DIR",
    help: "maps, and ACL files in a directory below it. Default: STATE_DIR/maps (start), /etc/haproxy/maps (serve)",
  },
  "general-dir": {
    value: "DIR",
    help: "other files that HAProxy reads, such as Lua scripts. Default: STATE_DIR/general (start), /etc/haproxy/general (serve)",
  },
  "spoe-dir": {
    value: "DIR",
    help: "SPOE files. Default: STATE_DIR/spoe (start), /etc/haproxy/spoe (serve)",
  },
  "update-map-files": {
    help: "write entries of maps and ACL files that others change in the running HAProxy back to the files",
  },
  "update-map-files-period": {
    value: "S",
    help: "how often --update-map-files looks, in seconds. Default 10",
  },
  "certificate-notice": {
    value: "DAYS",
    help: "how long before its end a certificate is told of. Default 30",
  },
  "storage-owner": {
    value: "USER",
    help: "who owns the files in these directories, for an HAProxy that reads them as another user: a name or a number. Default: whoever haplane runs as",
  },
  "storage-group": {
    value: "GROUP",
    help: "their group, likewise; it may read what is not secret. Default: whichever haplane runs as",
  },
  "tls-certificate": {
    value: "FILE",
    help: "certificate of the TCP listeners with its issuers, PEM; with --tls-key they serve TLS and nothing else",
    variables: ["TLS_CERTIFICATE"],
  },
  "tls-key": { value: "FILE", help: "its private key, PEM", variables: ["TLS_PRIVATE_KEY"] },
  "tls-ca": {
    value: "FILE",
    help: "authorities of client certificates, PEM: on the TCP listeners a certificate that they signed is enough, without token or password",
    variables: ["TLS_CA_CERTIFICATE"],
  },
  "tls-client-role": {
    value: "ROLE",
    help: "what a client with such a certificate may do: viewer, operator, editor or admin. Default admin",
  },
  userlist: {
    value: "NAME",
    help: "userlist of the configuration whose users may come with HTTP Basic: passwords in clear, or hashed as $5$ or $6$. Default: none",
  },
  "userlist-role": { value: "ROLE", help: "what these users may do. Default admin" },
  "allow-plaintext": {
    help: "listen beyond this machine without TLS, so that tokens can be read on the way",
  },
  reflection: {
    value: "WHEN",
    help: "who may list the services without credentials: on (anyone), local (loopback and sockets), off. Default local",
  },
  "read-only": {
    help: "only look: write no configuration and reload nothing",
  },
  "reload-delay": {
    value: "MS",
    help: "what needs a reload waits this long for company. Default 5",
  },
  "reload-interval": {
    value: "MS",
    help: "least time between two reloads. Default 0",
  },
  "max-old-workers": {
    value: "N",
    help: "reloads wait while this many old workers finish their connections. Default 16",
  },
  "external-edits": {
    value: "WHAT",
    help: "an edit of the file by hand that HAProxy accepts: adopt, or hold until somebody asks for a reload. Default adopt",
  },
  "log-level": { value: "LEVEL", help: "trace, debug, info, warn, error or silent. Default info" },
  "log-file": {
    value: "FILE",
    help: "where logs go. Default: STATE_DIR/haplane.log (start), standard error (serve)",
  },
  http: {
    value: "ADDRESS",
    help: "start: where the frontend of a new starter configuration listens. Default 127.0.0.1:8080",
  },
  consul: {
    value: "ADDRESS",
    help: "start: the local Consul's HTTP API; one is started there unless one answers. Default 127.0.0.1:8500",
  },
  "no-consul": { help: "start: leave Consul and its source out" },
} as const satisfies Record<string, Setting>;

type SettingName = keyof typeof SETTINGS;

/** Who may use reflection without credentials. */
export type ReflectionPolicy = "on" | "local" | "off";

const REFLECTION: readonly string[] = ["on", "local", "off"] satisfies ReflectionPolicy[];
const ROLES: readonly string[] = ["viewer", "operator", "editor", "admin"] satisfies RoleName[];
const EXTERNAL_EDITS: readonly string[] = ["adopt", "hold"];
const LOG_LEVELS: readonly string[] = ["trace", "debug", "info", "warn", "error", "silent"];

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

/** Roles by the words that settings have for them. */
export type RoleName = "viewer" | "operator" | "editor" | "admin";

/** The settings of one run, checked. */
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
  readonly tlsClientRole: RoleName;
  readonly allowPlaintext: boolean;
  /** Undefined: nobody comes with HTTP Basic. */
  readonly userlist: string | undefined;
  readonly userlistRole: RoleName;
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

/** Which defaults hold: `start` is the embedded default of a checkout, `serve` is production. */
export type Profile = "start" | "serve";

/** Settings that cannot be used; the message names the setting, what was found, and what would be right. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

/** Reads flags and environment. Throws SettingsError. */
export function readSettings(
  profile: Profile,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Settings {
  const flags = parseFlags(argv);
  const all = (name: SettingName): string[] | undefined => {
    const flag = flags[name];
    if (flag !== undefined) return [flag].flat().map(String);
    const setting: Setting = SETTINGS[name];
    const variable = [environmentName(name), ...(setting.variables ?? [])]
      .map((each) => env[each])
      .find((value) => value !== undefined && value !== "");
    if (variable === undefined) return undefined;
    return setting.multiple === true ? variable.split(",") : [variable];
  };
  const text = (name: SettingName): string | undefined => {
    const value = all(name)?.at(-1);
    if (value === "") throw new SettingsError(`--${name} is empty`);
    return value;
  };
  const address = (name: SettingName, fallback: string): Address => {
    const value = text(name) ?? fallback;
    const parsed = parseAddress(value);
    if (parsed !== undefined) return parsed;
    throw new SettingsError(`--${name} is "${value}"; write HOST:PORT, such as 127.0.0.1:5555 or [::1]:5555`);
  };
  const oneOf = (name: SettingName, allowed: readonly string[], fallback: string): string => {
    const value = text(name) ?? fallback;
    if (!allowed.includes(value))
      throw new SettingsError(`--${name} is "${value}"; allowed are ${allowed.join(", ")}`);
    return value;
  };

  const count = (name: SettingName, fallback: number, least = 0): number => {
    const value = text(name) ?? String(fallback);
    if (!/^\d{1,9}$/.test(value) || Number(value) < least) {
      throw new SettingsError(`--${name} is "${value}"; write a whole number from ${least}`);
    }
    return Number(value);
  };

  const start = profile === "start";
  const stateDir = text("state-dir") ?? (start ? ".haplane/state" : "/var/lib/haplane");
  const beside = start ? stateDir : "/etc/haproxy";
  return {
    stateDir,
    grpc: address("grpc", "127.0.0.1:5555"),
    connect: address("connect", "127.0.0.1:5556"),
    haproxy: text("haproxy"),
    config: all("config") ?? [start ? `${stateDir}/haproxy.cfg` : "/etc/haproxy/haproxy.cfg"],
    masterSocket: text("master-socket"),
    statsSocket: text("stats-socket"),
    directories: {
      sslCerts: text("ssl-certs-dir") ?? `${beside}/ssl`,
      maps: text("maps-dir") ?? `${beside}/maps`,
      general: text("general-dir") ?? `${beside}/general`,
      spoe: text("spoe-dir") ?? `${beside}/spoe`,
    },
    updateMapFilesMs: isSet(text("update-map-files"))
      ? count("update-map-files-period", 10, 1) * 1_000
      : undefined,
    certificateNoticeMs: count("certificate-notice", 30) * 86_400_000,
    storageOwner: text("storage-owner"),
    storageGroup: text("storage-group"),
    tls: tlsFiles(text("tls-certificate"), text("tls-key"), text("tls-ca")),
    tlsClientRole: oneOf("tls-client-role", ROLES, "admin") as RoleName,
    allowPlaintext: isSet(text("allow-plaintext")),
    userlist: text("userlist"),
    userlistRole: oneOf("userlist-role", ROLES, "admin") as RoleName,
    reflection: oneOf("reflection", REFLECTION, "local") as ReflectionPolicy,
    readOnly: isSet(text("read-only")),
    reloadDelayMs: count("reload-delay", 5),
    reloadIntervalMs: count("reload-interval", 0),
    maxOldWorkers: count("max-old-workers", 16, 1),
    externalEdits: oneOf("external-edits", EXTERNAL_EDITS, "adopt") as Settings["externalEdits"],
    logLevel: oneOf("log-level", LOG_LEVELS, "info"),
    logFile: text("log-file") ?? (start ? `${stateDir}/haplane.log` : undefined),
    http: address("http", "127.0.0.1:8080"),
    consul: isSet(text("no-consul")) ? undefined : address("consul", "127.0.0.1:8500"),
  };
}

function tlsFiles(
  certificate: string | undefined,
  key: string | undefined,
  ca: string | undefined,
): TlsFiles | undefined {
  if (certificate !== undefined && key !== undefined) return { certificate, key, ca };
  if (certificate === undefined && key === undefined && ca === undefined) return undefined;
  const missing = certificate === undefined ? "tls-certificate" : "tls-key";
  throw new SettingsError(`--${missing} is missing: TLS needs a certificate and its key`);
}

/** The environment variable of a setting. */
export function environmentName(name: string): string {
  return `HAPLANE_${name.toUpperCase().replaceAll("-", "_")}`;
}

function parseFlags(
  argv: readonly string[],
): Partial<Record<SettingName, string | boolean | (string | boolean)[]>> {
  const options = Object.fromEntries(
    Object.entries(SETTINGS).map(([name, setting]: [string, Setting]) => [
      name,
      {
        type: setting.value === undefined ? ("boolean" as const) : ("string" as const),
        multiple: setting.multiple ?? false,
      },
    ]),
  );
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new SettingsError(error instanceof Error ? error.message : String(error));
  }
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== "false" && value !== "0";
}
