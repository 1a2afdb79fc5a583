import { create, isMessage, type MessageShape } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import {
  Admission,
  ExternalEdits,
  LogLevel,
  Reflection,
  SettingsSchema,
} from "../../gen/haplane/settings/v1/settings_pb.js";
import { Role } from "../../gen/haplane/v1/options_pb.js";
import { type Address, parseAddress } from "../lib/address.ts";
import type { AllGiven } from "./given.ts";
import { readValue, type Value } from "./read-value.ts";
import { settingOf } from "./schema.ts";
import type { Profile, ReflectionPolicy, Settings } from "./settings.ts";

/** Makes settings of what was given and of the defaults of a profile. What contradicts itself is added to the problems. */
export function resolve(profile: Profile, given: AllGiven, problems: string[]): Settings {
  const all = withDefaults(profile, given);
  return {
    stateDir: all.stateDir,
    grpc: addressOf(all.grpc),
    connect: addressOf(all.connect),
    haproxy: textOf(all.haproxy),
    config: all.config,
    masterSocket: textOf(all.masterSocket),
    statsSocket: textOf(all.statsSocket),
    directories: {
      sslCerts: all.sslCertsDir,
      maps: all.mapsDir,
      general: all.generalDir,
      spoe: all.spoeDir,
    },
    updateMapFilesMs: all.updateMapFiles ? all.updateMapFilesPeriod * 1_000 : undefined,
    eventRetentionMs: all.eventRetention * 86_400_000,
    eventRetentionBytes: all.eventRetentionSize * 1024 * 1024,
    certificateNoticeMs: all.certificateNotice * 86_400_000,
    storageOwner: textOf(all.storageOwner),
    storageGroup: textOf(all.storageGroup),
    tls: tlsFiles(all, problems),
    tlsClientRole: ROLES[all.tlsClientRole],
    allowPlaintext: all.allowPlaintext,
    userlist: textOf(all.userlist),
    userlistRole: ROLES[all.userlistRole],
    tokensFile: all.tokensFile,
    adminToken: !all.noAdminToken,
    users: all.users,
    bindings: all.bindings,
    corsOrigins: all.corsOrigins,
    limits: {
      maxFailedLogins: all.maxFailedLogins,
      maxConnections: all.maxConnections,
      maxConcurrentStreams: all.maxStreams,
      maxCallsPerPeer: all.maxCallsPerPeer,
      maxWatchers: all.maxWatchers,
      maxRequestBytes: all.maxMessageBytes,
      maxHeaderBytes: all.maxHeaderBytes,
      maxUploadBytes: all.maxUploadSize * 1024 * 1024,
      uploadIdleMs: all.uploadIdle * 1_000,
      keepaliveIntervalMs: all.keepaliveInterval * 1_000,
      keepaliveTimeoutMs: all.keepaliveTimeout * 1_000,
    },
    reflection: REFLECTION[all.reflection],
    readOnly: all.readOnly,
    reloadDelayMs: all.reloadDelay,
    reloadIntervalMs: all.reloadInterval,
    maxOldWorkers: all.maxOldWorkers,
    externalEdits: all.externalEdits === ExternalEdits.HOLD ? "hold" : "adopt",
    logLevel: (LogLevel[all.logLevel] ?? "info").toLowerCase(),
    logFile: textOf(all.logFile),
    http: addressOf(all.http),
    consul: all.noConsul ? undefined : addressOf(all.consul),
  };
}

const ROLES: Readonly<Record<Admission, Role | undefined>> = {
  [Admission.UNSPECIFIED]: undefined,
  [Admission.NONE]: undefined,
  [Admission.VIEWER]: Role.VIEWER,
  [Admission.OPERATOR]: Role.OPERATOR,
  [Admission.EDITOR]: Role.EDITOR,
  [Admission.ADMIN]: Role.ADMIN,
};

const REFLECTION: Readonly<Record<Reflection, ReflectionPolicy>> = {
  [Reflection.UNSPECIFIED]: "local",
  [Reflection.ON]: "on",
  [Reflection.LOCAL]: "local",
  [Reflection.OFF]: "off",
};

type SettingsMessage = MessageShape<typeof SettingsSchema>;

/** The message of all settings: what was given, else the default. A text that has neither is empty. */
function withDefaults(profile: Profile, given: AllGiven): SettingsMessage {
  const message = create(SettingsSchema);
  const fields = reflect(SettingsSchema, message);
  for (const desc of SettingsSchema.fields) {
    const value = given.get(desc.name)?.value ?? defaultOf(desc, profile, message.stateDir);
    if (value === undefined) continue;
    if (desc.fieldKind !== "list") fields.set(desc, value as Value);
    else
      for (const each of [value].flat())
        fields.get(desc).add(isMessage(each) ? reflect(desc.message!, each) : each);
  }
  return message;
}

function defaultOf(
  desc: (typeof SettingsSchema.fields)[number],
  profile: Profile,
  stateDir: string,
): Value | undefined {
  const setting = settingOf(desc);
  const own = profile === "start" ? setting.startDefault : setting.serveDefault;
  const text = (own || setting.default).replace("STATE_DIR", () => stateDir);
  if (text === "") return undefined;
  const read = readValue(desc, text);
  if ("problem" in read) throw new Error(`the default of ${desc.name} ${read.problem}`);
  return read.value;
}

function tlsFiles(all: SettingsMessage, problems: string[]): Settings["tls"] {
  const { tlsCertificate: certificate, tlsKey: key, tlsCa: ca } = all;
  if (certificate !== "" && key !== "") return { certificate, key, ca: textOf(ca) };
  if (certificate === "" && key === "" && ca === "") return undefined;
  const missing = certificate === "" ? "tls-certificate" : "tls-key";
  problems.push(`--${missing} is missing: TLS needs a certificate and its key`);
  return undefined;
}

function textOf(text: string): string | undefined {
  return text === "" ? undefined : text;
}

/** An address that was checked when it was read. */
function addressOf(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  return address;
}
