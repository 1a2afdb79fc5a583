import { DomainError } from "../lib/errors.ts";
import { isRefusal, refusal } from "./answer.ts";
import type { CallOptions } from "./call-options.ts";
import { encodeCommand, encodeLinesCommand } from "./command.ts";
import { OneWorker, type RunCommand, WORKER_CHANGED } from "./one-worker.ts";

/** A map or ACL file that the worker has loaded (management manual, `show map`, `show acl`). */
export interface PatternFile {
  /** A file that a map uses is changed by the commands of maps, also where an ACL uses it as well. */
  readonly kind: "map" | "acl";
  /** HAProxy's number of it, in this worker. */
  readonly id: number;
  readonly path: string;
  /** HAProxy's words about who uses it. */
  readonly description: string;
}

/** An entry that the worker has. Keys of ACLs have no value. */
export interface LoadedEntry {
  /** HAProxy's reference to the entry, for as long as it lives. */
  readonly ref: string;
  readonly key: string;
  readonly value: string;
}

/** A key, and a map's value. */
export interface PatternEntry {
  readonly key: string;
  readonly value: string;
}

/** One change of the entries. What is added comes after all others. */
export type EntryChange =
  | { readonly kind: "set"; readonly ref: string; readonly value: string }
  | { readonly kind: "delete"; readonly ref: string }
  | ({ readonly kind: "add" } & PatternEntry);

/** The maps and ACL files of the worker that accepts connections. Rejects with `HAPROXY_REFUSED`, `HAPROXY_UNAVAILABLE`, and `FIELD_INVALID` for what cannot be written as a command.
 * A reload between two commands is `HAPROXY_UNAVAILABLE` as well: the new worker has read the file. */
export interface PatternFiles {
  /** All that come from files. */
  list(options?: CallOptions): Promise<readonly PatternFile[]>;
  /** The entries of one, in the order in which they are looked at. */
  entries(file: PatternFile, options?: CallOptions): Promise<readonly LoadedEntry[]>;
  /** Makes changes in order, pipelined. Answers with the number of commands. */
  change(file: PatternFile, changes: readonly EntryChange[]): Promise<number>;
  /** Replaces all entries in one step: prepared as another version, then switched to. Answers with the number of commands. */
  replace(file: PatternFile, entries: readonly PatternEntry[]): Promise<number>;
}

/** A dump of a million entries takes seconds. */
const DUMP_MS = 60_000;

/** Commands that wait in our queue at a time; more would only take memory. */
const BATCH = 1_000;

/** Makes the commands over the connections to the worker. */
export function createPatternFiles(change: RunCommand, read: RunCommand): PatternFiles {
  const ask = async (words: readonly string[], options: CallOptions = {}): Promise<string> => {
    const answer = await read(encodeCommand(words), options);
    if (isRefusal(answer)) throw refusal(words.slice(0, 2).join(" "), answer);
    return answer.text;
  };

  const list = async (kind: PatternFile["kind"], options?: CallOptions): Promise<PatternFile[]> =>
    (await ask(["show", kind], options)).split("\n").flatMap((line) => {
      const [, id, path, description = ""] = /^(\d+) \((.+?)\) (.*)$/.exec(line) ?? [];
      return path === undefined ? [] : [{ kind, id: Number(id), path, description }];
    });

  return {
    async list(options) {
      const maps = await list("map", options);
      const known = new Set(maps.map(({ id }) => id));
      const acls = await list("acl", options);
      return [...maps, ...acls.filter(({ id }) => !known.has(id))];
    },
    async entries({ kind, path }, options) {
      const text = await ask(["show", kind, path], { timeoutMs: DUMP_MS, ...options });
      if (text === "") return [];
      return text.split("\n").map((line) => loadedEntry(kind, line));
    },
    change: ({ kind, path }, changes) =>
      onOneWorker(async () => {
        const worker = new OneWorker(change, { timeoutMs: DUMP_MS });
        for (let at = 0; at < changes.length; at += BATCH)
          await all(
            changes.slice(at, at + BATCH).map((one) => worker.tellSilent(...wordsOf(kind, path, one))),
          );
        return changes.length;
      }),
    replace: ({ kind, path }, entries) =>
      onOneWorker(async () => {
        const worker = new OneWorker(change, { timeoutMs: DUMP_MS });
        const prepared = await worker.tell("prepare", kind, path);
        const version = /New version created: (\d+)/.exec(prepared.text)?.[1];
        if (version === undefined) throw refusal(`prepare ${kind}`, prepared);
        let count = 2;
        try {
          for (let at = 0; at < entries.length; at += BATCH) {
            const batch = entries.slice(at, at + BATCH);
            const commands =
              kind === "map"
                ? encodeLinesCommand(["add", kind, `@${version}`, path], batch.map(lineOf))
                : batch.map(({ key }) => encodeCommand(["add", kind, `@${version}`, path, key]));
            count += commands.length;
            await all(commands.map((line) => worker.send(line, `add ${kind}`)));
          }
          await worker.tellSilent("commit", kind, `@${version}`, path);
        } catch (error) {
          await worker.ask("clear", kind, `@${version}`, path).catch(() => {});
          throw error;
        }
        return count;
      }),
  };
}

/** What a reload between two commands looks like from outside. */
async function onOneWorker<T>(commands: () => Promise<T>): Promise<T> {
  try {
    return await commands();
  } catch (error) {
    if (error !== WORKER_CHANGED) throw error;
    throw new DomainError("HAPROXY_UNAVAILABLE", WORKER_CHANGED.message, {
      metadata: { outcome: "unknown" },
    });
  }
}

/** Waits for all, also when one fails, so that nothing is under way when the failure is dealt with. */
async function all(answers: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(answers)).find(({ status }) => status === "rejected");
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
}

function wordsOf(kind: PatternFile["kind"], path: string, one: EntryChange): string[] {
  switch (one.kind) {
    case "set":
      return ["set", kind, path, `#${one.ref}`, one.value];
    case "delete":
      return ["del", kind, path, `#${one.ref}`];
    case "add":
      return ["add", kind, path, one.key, ...(kind === "map" ? [one.value] : [])];
  }
}

/** A payload's line: HAProxy reads the first word as the key, and the rest as the value. */
function lineOf({ key, value }: PatternEntry): string {
  if (value !== "") return `${key} ${value}`;
  throw new DomainError("FIELD_INVALID", "HAProxy takes no entry with an empty value by a command");
}

function loadedEntry(kind: PatternFile["kind"], line: string): LoadedEntry {
  const first = line.indexOf(" ");
  const ref = first === -1 ? line : line.slice(0, first);
  const rest = first === -1 ? "" : line.slice(first + 1);
  if (kind === "acl") return { ref, key: rest, value: "" };
  const blank = rest.indexOf(" ");
  if (blank === -1) return { ref, key: rest, value: "" };
  return { ref, key: rest.slice(0, blank), value: rest.slice(blank + 1) };
}
