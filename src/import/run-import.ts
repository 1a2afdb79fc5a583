import { join } from "node:path";
import { parseArgs } from "node:util";
import type { StoredSource } from "../discovery/source-store.ts";
import { storedSource } from "../discovery/stored-source.ts";
import { DomainError } from "../lib/errors.ts";
import { importSettings } from "./import-settings.ts";
import type { ImportedSource } from "./import-source.ts";
import { readLeaves } from "./leaves.ts";
import type { Note } from "./note.ts";
import { readSources } from "./read-sources.ts";

/** What the command needs of the machine. */
export interface ImportIo {
  /** A file as text; undefined when there is none. */
  readonly readIfThere: (path: string) => string | undefined;
  /** Writes a file that only its owner may read. Rejects when there is one already. */
  readonly writeNew: (path: string, text: string) => Promise<void>;
  /** Adds sources to the state directory that these settings name; resolves with the names of those that were there already. */
  readonly addSources: (settingsFile: string, sources: readonly StoredSource[]) => Promise<readonly string[]>;
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
}

const USAGE = `Usage: haplane import [--output FILE] [--service-discovery DIR] DATAPLANEAPI.YML

Makes haplane's settings of those of an HAProxy Data Plane API, and sources of its service discovery. Without --output
the settings are printed and nothing is written. What has no counterpart is told, with what to do instead.

  --output FILE            write the settings there, and the sources into the state directory (of the settings, of
                           HAPLANE_STATE_DIR, or /var/lib/haplane); haplane must not be running
  --service-discovery DIR  where consul.json and aws.json are; default: service_discovery below dataplane_storage_dir
`;

const OLD_SERVERS =
  "The servers SRV_… of the Data Plane API in their backends stay: delete their lines when the sources are SYNCED.";

const OK = 0;
const FAILED = 1;
const BAD_USAGE = 2;

/** Runs `haplane import`. Its exit code is 0 when there is a result, whatever had to be left out; 1 when not; 2 for arguments that make no sense. */
export async function runImport(args: readonly string[], io: ImportIo): Promise<number> {
  const parsed = parse(args);
  if (typeof parsed === "string") {
    io.error(`haplane import: ${parsed}\n\n${USAGE}`);
    return BAD_USAGE;
  }
  if (parsed.help) {
    io.out(USAGE);
    return OK;
  }
  const text = io.readIfThere(parsed.file);
  if (text === undefined) {
    io.error(`haplane import: there is no ${parsed.file}\n`);
    return FAILED;
  }
  const settings = importSettings("the result", readLeaves(parsed.file, text));
  const directory = parsed.serviceDiscovery ?? join(settings.storageDir, "service_discovery");
  const discovery = readSources({
    consul: io.readIfThere(join(directory, "consul.json")),
    aws: io.readIfThere(join(directory, "aws.json")),
    listed: settings.consuls,
  });
  const { stored, notes } = checked(discovery.sources);
  report(io, [
    ...settings.notes,
    ...settings.problems,
    ...discovery.notes,
    ...discovery.sources.flatMap((one) => one.notes),
    ...notes,
  ]);
  const names = stored.map(({ name }) => name);
  if (parsed.output === undefined) {
    io.out(settings.yaml);
    if (names.length > 0) io.error(`Sources that --output would add: ${names.join(", ")}\n`);
    return OK;
  }
  if (settings.problems.length > 0) {
    io.error("Nothing was written, since haplane could not use the settings as they are.\n");
    return FAILED;
  }
  await io.writeNew(parsed.output, settings.yaml);
  io.error(`Settings: ${parsed.output}\n`);
  if (names.length === 0) return OK;
  const known = await io.addSources(parsed.output, stored);
  const added = names.filter((name) => !known.includes(name));
  if (added.length > 0) io.error(`Sources: ${added.join(", ")}. ${OLD_SERVERS}\n`);
  if (known.length > 0)
    io.error(`Sources that were there already, and stay as they are: ${known.join(", ")}\n`);
  return OK;
}

/** What can be kept. A source that does not meet the rules here is told of and left out. */
function checked(sources: readonly ImportedSource[]): { stored: StoredSource[]; notes: Note[] } {
  const stored: StoredSource[] = [];
  const notes: Note[] = [];
  for (const { id, source } of sources) {
    try {
      stored.push(storedSource(id, source));
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      const why = error.violations.map(({ field, description }) => `${field} ${description}`).join(", ");
      notes.push({ at: `sources/${id}`, text: `was left out: ${why || error.message}` });
    }
  }
  return { stored, notes };
}

function report(io: ImportIo, notes: readonly Note[]): void {
  for (const { at, text } of notes) io.error(`${at} ${text}.\n`);
}

function parse(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        output: { type: "string" },
        "service-discovery": { type: "string" },
        help: { type: "boolean" },
      },
    });
    const [file, ...more] = positionals;
    if (values.help === true) return { help: true as const };
    if (file === undefined || more.length > 0) return "name one file, such as /etc/haproxy/dataplaneapi.yml";
    return {
      help: false as const,
      file,
      output: values.output,
      serviceDiscovery: values["service-discovery"],
    };
  } catch (error) {
    return (error as Error).message;
  }
}
