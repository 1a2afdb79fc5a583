import type { LiveFiles, PatternFile, Referrer } from "./live.ts";
import { attempt, type LiveOutcome } from "./live-outcome.ts";
import type { ManagedDirectory } from "./managed-directory.ts";
import { readPatterns } from "./pattern-lines.ts";
import { planPatterns } from "./plan-patterns.ts";

/** More than so many changes one by one take HAProxy longer than a new version of all: each looks through the whole list. */
const MAX_CHANGES = 250;

/** A larger file is left to a reload, so that it is never in memory as a whole. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Converters that find the same entry in whatever order they stand. */
const UNORDERED = /^map(?:_str|_ip)?(?:_(?:str|int|ip))?$/;

/** A file of patterns in place, and what runs. */
export interface PatternsTarget {
  readonly directory: ManagedDirectory;
  readonly live: LiveFiles;
  /** What uses the file. */
  readonly referrers: readonly Referrer[];
}

/** Gives the worker the entries of a map or ACL file that is in place. */
export async function applyPatterns(target: PatternsTarget, name: string): Promise<LiveOutcome> {
  const { directory, live, referrers } = target;
  const file = await loadedFile(live, directory.pathOf(name));
  if (file === undefined) return { kind: "unloaded" };
  const facts = await directory.facts(name);
  if (facts === undefined || facts.size > MAX_BYTES)
    return { kind: "impossible", reason: "a file of this size takes a reload" };
  const bytes = (await directory.read(name)) ?? Buffer.alloc(0);
  const text = bytes.toString("utf8");
  if (text.includes("\ufffd"))
    return { kind: "impossible", reason: "a file that is not UTF-8 takes a reload" };
  const wanted = readPatterns(file.kind, text);
  const ordered = file.kind === "map" && !isUnordered(referrers);
  return attempt("the file", async () => {
    const changes = planPatterns(await live.patternFiles.entries(file), wanted, ordered);
    if (changes.length === 0) return [];
    const canReplace = file.kind === "acl" || wanted.every(({ value }) => value !== "");
    if (changes.length <= MAX_CHANGES || !canReplace) {
      const count = await live.patternFiles.change(file, changes);
      return [`# ${counted(count)}: set, del and add ${file.kind} ${file.path}`];
    }
    const count = await live.patternFiles.replace(file, wanted);
    return [`# ${counted(count)}: prepare, add and commit ${file.kind} ${file.path}`];
  });
}

function counted(commands: number): string {
  return commands === 1 ? "1 command" : `${commands} commands`;
}

/** The map or ACL file of a path that the worker has. */
export async function loadedFile(live: LiveFiles, path: string): Promise<PatternFile | undefined> {
  return (await live.patternFiles.list()).find((file) => file.path === path);
}

/** Whether everything that is known to use a file finds the same entry in whatever order they stand. */
function isUnordered(referrers: readonly Referrer[]): boolean {
  return referrers.length > 0 && referrers.every(({ converter }) => UNORDERED.test(converter));
}
