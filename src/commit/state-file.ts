import { isAbsolute, join } from "node:path";
import { sameServer } from "../config/section-diff.ts";
import { directiveReader } from "../config/section-lines.ts";
import type { ServerState } from "../haproxy/server-states.ts";
import { type FileSystem, readIfThere, replaceFile } from "../lib/durable-file.ts";
import type { Document } from "../text/document.ts";
import type { FindServer } from "./given-back.ts";

/** The columns of a state file of version 1, in HAProxy's order (management guide, `show servers state`). */
const COLUMNS = [
  ...[
    "be_id",
    "be_name",
    "srv_id",
    "srv_name",
    "srv_addr",
    "srv_op_state",
    "srv_admin_state",
    "srv_uweight",
    "srv_iweight",
  ],
  ...[
    "srv_time_since_last_change",
    "srv_check_status",
    "srv_check_result",
    "srv_check_health",
    "srv_check_state",
  ],
  ...[
    "srv_agent_state",
    "bk_f_forced_id",
    "srv_f_forced_id",
    "srv_fqdn",
    "srv_port",
    "srvrecord",
    "srv_use_ssl",
  ],
  ...["srv_check_port", "srv_check_addr", "srv_agent_addr", "srv_agent_port"],
] as const;

/** A state file that says nothing of any server. */
export const EMPTY_STATE_FILE = `1\n# ${COLUMNS.join(" ")}\n`;

const stateFileLines = directiveReader("server-state-file");
const stateBaseLines = directiveReader("server-state-base");
const loadLines = directiveReader("load-server-state-from-file");

/**
 * The file from which a starting HAProxy learns the servers' states, when the configuration has one and something loads it (configuration manual, 3.1 and 4.2); undefined otherwise. Only an absolute
 * path counts: what a relative one is relative to is not known for certain.
 */
export function stateFileOf(document: Document): string | undefined {
  const globals = document.list("global");
  const name = globals.flatMap(stateFileLines).at(-1)?.[0];
  const base = globals.flatMap(stateBaseLines).at(-1)?.[0];
  if (name === undefined) return undefined;
  const path = isAbsolute(name) || base === undefined ? name : join(base, name);
  const loads = document
    .list("defaults", "backend", "listen")
    .some((section) => loadLines(section).some(([from]) => from === "global"));
  return loads && isAbsolute(path) ? path : undefined;
}

/**
 * The state file by which a new worker starts where the old one is: drained servers stay drained, those known to be down stay down, from the first request on. Servers whose own line changed are left
 * out: the file's word is newer.
 */
export function stateFileContent(old: readonly ServerState[], before: FindServer, after: FindServer): string {
  const lines = old.filter(({ backend, server }) => {
    const [then, now] = [before(backend, server), after(backend, server)];
    return then !== undefined && now !== undefined && sameServer(then, now);
  });
  return (
    EMPTY_STATE_FILE +
    lines.map(({ columns }) => `${COLUMNS.map((name) => columns[name] ?? "-").join(" ")}\n`).join("")
  );
}

/** Replaces the state file. */
export async function writeStateFile(fs: FileSystem, path: string, content: string): Promise<void> {
  await replaceFile(path, Buffer.from(content), { expected: await readIfThere(fs, path), fs });
}

/** Makes the state file that a configuration loads where there is none: HAProxy warns of one that is missing. */
export async function createStateFile(fs: FileSystem, document: Document): Promise<void> {
  const path = stateFileOf(document);
  if (path !== undefined) await replaceFile(path, Buffer.from(EMPTY_STATE_FILE), { expected: undefined, fs });
}
