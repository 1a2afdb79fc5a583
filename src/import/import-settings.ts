import { stringify } from "yaml";
import { readSettingsFile } from "../settings/read-file.ts";
import type { Leaf } from "./leaves.ts";
import type { Note } from "./note.ts";

/** What the settings of a Data Plane API become. */
export interface ImportedSettings {
  /** haplane's settings file, YAML. Holds passwords where the other did. */
  readonly yaml: string;
  readonly notes: readonly Note[];
  /** Why haplane could not use them. */
  readonly problems: readonly Note[];
  /** Where the Data Plane API keeps the sources of its service discovery. */
  readonly storageDir: string;
  /** Sources that older versions keep in the settings file itself. */
  readonly consuls: unknown;
}

/** Takes one value over: returns settings of haplane, or says why there are none. */
type Rule = (value: unknown, note: (text: string) => void) => Readonly<Record<string, unknown>> | undefined;

const as =
  (name: string): Rule =>
  (value) => ({ [name]: value });
const toNothing =
  (why: string): Rule =>
  (_, note) =>
    void note(why);
/** Is the default of the Data Plane API's users, needs nothing said, or is another rule's business. */
const quietly: Rule = () => undefined;

const RELOADS = "has no counterpart: haplane reloads through the master socket, and reads the outcome there";
const LIMITS = "has no counterpart of the same meaning: see the limits in docs/settings.md";
const HISTORY = "has no counterpart: transactions and former configurations are kept in the state directory";

/** What becomes of each setting of the Data Plane API (3.x; those of 2.x are named alike). */
const RULES: Readonly<Record<string, Rule>> = {
  config_version: quietly,
  name: quietly,
  mode: quietly,
  status: quietly,
  "dataplaneapi.host": quietly,
  "dataplaneapi.port": quietly,
  "dataplaneapi.scheme": quietly,
  "dataplaneapi.tls.tls_host": quietly,
  "dataplaneapi.tls.tls_port": quietly,
  "dataplaneapi.tls.tls_certificate": as("tls_certificate"),
  "dataplaneapi.tls.tls_key": as("tls_key"),
  "dataplaneapi.tls.tls_ca": as("tls_ca"),
  "dataplaneapi.tls.tls_keep_alive": toNothing(LIMITS),
  "dataplaneapi.tls.tls_listen_limit": toNothing(LIMITS),
  "dataplaneapi.tls.tls_read_timeout": toNothing(LIMITS),
  "dataplaneapi.tls.tls_write_timeout": toNothing(LIMITS),
  "dataplaneapi.socket_path": toNothing(
    "has no counterpart: the sockets are grpc.sock and connect.sock in the state directory",
  ),
  "dataplaneapi.cleanup_timeout": toNothing(LIMITS),
  "dataplaneapi.graceful_timeout": toNothing(LIMITS),
  "dataplaneapi.max_header_size": toNothing(LIMITS),
  "dataplaneapi.max_body_size": toNothing(LIMITS),
  "dataplaneapi.listen_limit": toNothing(LIMITS),
  "dataplaneapi.read_timeout": toNothing(LIMITS),
  "dataplaneapi.write_timeout": toNothing(LIMITS),
  "dataplaneapi.keep_alive": toNothing(LIMITS),
  "dataplaneapi.pid_file": toNothing("has no counterpart: the service manager knows the process"),
  "dataplaneapi.uid": toNothing(
    "has no counterpart: the service manager sets the user (User= in a unit of systemd)",
  ),
  "dataplaneapi.gid": toNothing(
    "has no counterpart: the service manager sets the group (Group= in a unit of systemd)",
  ),
  "dataplaneapi.userlist.userlist": as("userlist"),
  "dataplaneapi.userlist.userlist_file": toNothing(
    "has no counterpart: put the userlist into haproxy.cfg, or its users into `users`",
  ),
  "dataplaneapi.user": importUsers,
  "dataplaneapi.transaction.transaction_dir": toNothing(HISTORY),
  "dataplaneapi.transaction.backups_number": toNothing(HISTORY),
  "dataplaneapi.transaction.backups_dir": toNothing(HISTORY),
  "dataplaneapi.transaction.max_open_transactions": toNothing(HISTORY),
  "dataplaneapi.resources.maps_dir": as("maps_dir"),
  "dataplaneapi.resources.ssl_certs_dir": as("ssl_certs_dir"),
  "dataplaneapi.resources.general_storage_dir": as("general_dir"),
  "dataplaneapi.resources.spoe_dir": as("spoe_dir"),
  "dataplaneapi.resources.spoe_transaction_dir": toNothing(HISTORY),
  "dataplaneapi.resources.dataplane_storage_dir": quietly,
  "dataplaneapi.resources.update_map_files": as("update_map_files"),
  "dataplaneapi.resources.update_map_files_period": as("update_map_files_period"),
  "haproxy.config_file": quietly,
  "haproxy.haproxy_bin": as("haproxy"),
  "haproxy.master_runtime": as("master_socket"),
  "haproxy.master_worker_mode": quietly,
  "haproxy.delayed_start_max": toNothing("is not needed: haplane waits for HAProxy as long as it takes"),
  "haproxy.delayed_start_tick": quietly,
  "haproxy.reload.reload_delay": (value, note) =>
    typeof value === "number"
      ? { reload_interval: Math.round(value * 1_000) }
      : void note("is no number of seconds"),
  "haproxy.reload.reload_cmd": toNothing(RELOADS),
  "haproxy.reload.restart_cmd": toNothing(RELOADS),
  "haproxy.reload.status_cmd": toNothing(RELOADS),
  "haproxy.reload.service_name": toNothing(RELOADS),
  "haproxy.reload.reload_strategy": toNothing(RELOADS),
  "haproxy.reload.reload_retention": toNothing("has no counterpart: reloads are kept with the history"),
  "haproxy.reload.validate_cmd": toNothing(
    "has no counterpart: `haproxy -c` of the binary that `haproxy` names checks",
  ),
  "haproxy.reload.validate_files_before": quietly,
  "haproxy.reload.validate_files_after": quietly,
  "service_discovery.consuls": quietly,
  log_targets: importLogTargets,
  "log.log_to": quietly,
  "log.log_level": (value, note) => logLevel(value, note),
  "log.log_file": as("log_file"),
  "log.log_format": quietly,
};

/** Makes haplane's settings of those of a Data Plane API. What has no counterpart is told, each with a way out. */
export function importSettings(name: string, leaves: readonly Leaf[]): ImportedSettings {
  const notes: Note[] = [];
  const settings: Record<string, unknown> = {};
  const values = new Map(leaves.map(({ path, value }) => [path, value]));
  const text = (path: string) => {
    const value = values.get(path);
    return value === undefined ? undefined : String(value);
  };
  Object.assign(settings, configFiles(values), listener(text));
  for (const { path, value } of leaves) {
    const rule = Object.hasOwn(RULES, path) ? RULES[path] : toNothing("is not known here, and was left out");
    Object.assign(
      settings,
      rule?.(value, (problem) => notes.push({ at: path, text: problem })),
    );
  }
  if (settings.master_socket === undefined)
    notes.push({
      at: "haproxy.master_runtime",
      text: "is not given: haplane then starts an HAProxy of its own. Name the master socket of the one that runs (`master_socket`), or stop that one before",
    });
  const yaml = stringify(settings);
  const problems: string[] = [];
  readSettingsFile(name, yaml, problems);
  return {
    yaml,
    notes,
    problems: problems.map((text) => ({ at: "result:", text })),
    storageDir: text("dataplaneapi.resources.dataplane_storage_dir") ?? "/etc/haproxy/dataplane",
    consuls: values.get("service_discovery.consuls"),
  };
}

/** HAProxy is given the files around haproxy.cfg too, in the same order. */
function configFiles(values: ReadonlyMap<string, unknown>): Readonly<Record<string, unknown>> {
  const list = (path: string) => [values.get(path) ?? []].flat();
  const config = [
    ...list("haproxy.reload.validate_files_before"),
    ...list("haproxy.config_file"),
    ...list("haproxy.reload.validate_files_after"),
  ];
  return config.length === 0 ? {} : { config };
}

/** JSON and gRPC-Web listen where the Data Plane API did. */
function listener(text: (path: string) => string | undefined): Readonly<Record<string, unknown>> {
  const host = text("dataplaneapi.tls.tls_host") ?? text("dataplaneapi.host");
  const port = text("dataplaneapi.tls.tls_port") ?? text("dataplaneapi.port");
  if (host === undefined && port === undefined) return {};
  const shown = host?.includes(":") ? `[${host}]` : (host ?? "127.0.0.1");
  return { connect: `${shown}:${port ?? "5556"}` };
}

function importUsers(value: unknown, note: (text: string) => void) {
  if (!Array.isArray(value)) return void note("is no list of users");
  const users = value.flatMap((user: { name?: unknown; password?: unknown; insecure?: unknown } | null) => {
    const { name, password, insecure } = user ?? {};
    const who = `has the user ${JSON.stringify(name ?? "")}, who`;
    if (typeof name !== "string" || typeof password !== "string") {
      note(`${who} has no name or no password, and was left out`);
      return [];
    }
    if (/\$\{?[A-Z_]+\}?/.test(password) && !password.startsWith("$5$") && !password.startsWith("$6$")) {
      note(`${who} has a password from the environment, and was left out: add the password itself`);
      return [];
    }
    if (insecure !== true && !/^\$[56]\$/.test(password)) {
      note(
        `${who} has a password hashed in another way than $5$ and $6$, and was left out: hash it anew with openssl passwd -6`,
      );
      return [];
    }
    return [{ name, password, role: "admin" }];
  });
  return users.length === 0 ? undefined : { users };
}

function importLogTargets(value: unknown, note: (text: string) => void) {
  const targets = [value].flat() as { log_to?: unknown; log_level?: unknown; log_file?: unknown }[];
  const settings: Record<string, unknown> = {};
  for (const { log_to: to, log_level: level, log_file: file } of targets.filter(
    (target) => target !== null,
  )) {
    if (to === "file" && typeof file === "string" && settings.log_file === undefined)
      settings.log_file = file;
    else if (to === "syslog")
      note("has a target syslog, which has no counterpart: standard error is read by the service manager");
    else if (to === "file") note("has more than one file, of which the first was taken");
    if (level !== undefined && settings.log_level === undefined)
      Object.assign(settings, logLevel(level, note));
  }
  return settings;
}

const LEVELS: Readonly<Record<string, string>> = {
  ...{ trace: "trace", debug: "debug", info: "info", warning: "warn", warn: "warn" },
  ...{ error: "error", fatal: "error", panic: "error" },
};

function logLevel(value: unknown, note: (text: string) => void) {
  const level = LEVELS[String(value).toLowerCase()];
  if (level === undefined) return void note(`has the level ${JSON.stringify(value)}, which is not known`);
  return { log_level: level };
}
