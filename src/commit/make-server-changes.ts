import { defaultServerWords } from "../config/defaults.ts";
import { backendSection, type ConfiguredServer, findServer } from "../config/server.ts";
import { addServers, removeServers } from "../config/server-edits.ts";
import type { ChangeResult, ServerChange } from "../discovery/target.ts";
import type { Document } from "../text/document.ts";
import { asDomainError } from "./as-domain-error.ts";
import { planServer, type ServerPlan } from "./server-plan.ts";
import type { WorkingDocument } from "./working-document.ts";

/** What was made of a list of changes. */
export interface MadeChanges {
  /** Those that were made, each with its place in the list. */
  readonly made: readonly (ServerPlan & { readonly index: number })[];
  /** One for each change. */
  readonly results: ChangeResult[];
}

/** Makes changes of a backend's servers on the document, each of which is or is not made for itself; the running worker is about to be told. */
export function makeServerChanges(
  working: WorkingDocument,
  backend: string,
  changes: readonly ServerChange[],
  author: string,
): MadeChanges {
  const made: (ServerPlan & { readonly index: number })[] = [];
  const results: ChangeResult[] = [];
  const inherited = inheritedWords(working.current, backend);
  const makeOne = (index: number, change: ServerChange) => {
    try {
      const present = serverIn(working.current, backend, change.name);
      const planned = planServer(backend, change, present, inherited, author);
      working.applyLive(planned.edit);
      made.push({ index, ...planned });
      results[index] = { ok: true };
    } catch (error) {
      results[index] = { ok: false, error: asDomainError(error) };
    }
  };
  for (const run of runsOf(changes)) {
    const plans = makeTogether(working, backend, run.changes, inherited, author);
    for (const [offset, change] of run.changes.entries()) {
      const index = run.from + offset;
      const planned = plans?.[offset];
      if (planned === undefined) {
        makeOne(index, change);
      } else {
        made.push({ index, ...planned });
        results[index] = { ok: true };
      }
    }
  }
  return { made, results };
}

/** What `default-server` lines give every server of a backend; changes of servers leave it as it is. */
function inheritedWords(document: Document, backend: string): readonly string[] {
  const section = backendSection(document, backend);
  return section === undefined ? [] : defaultServerWords(document, section);
}

/** Changes that follow each other and can be made by one edit of the text. */
interface Run {
  /** Where it begins in the list. */
  readonly from: number;
  readonly changes: readonly ServerChange[];
}

/** Additions that follow each other, and removals; anything else is by itself. */
function runsOf(changes: readonly ServerChange[]): Run[] {
  const runs: { from: number; changes: ServerChange[] }[] = [];
  for (const [index, change] of changes.entries()) {
    const last = runs.at(-1);
    const joins = change.kind === "add" || change.kind === "remove";
    if (last !== undefined && joins && last.changes[0]?.kind === change.kind) last.changes.push(change);
    else runs.push({ from: index, changes: [change] });
  }
  return runs;
}

/** Makes the changes of a run as one; undefined, with nothing done, when one of them cannot be made, or there is nothing to be gained. */
function makeTogether(
  working: WorkingDocument,
  backend: string,
  changes: readonly ServerChange[],
  inherited: readonly string[],
  author: string,
): readonly ServerPlan[] | undefined {
  if (changes.length === 1) return undefined;
  const added = changes.filter((change) => change.kind === "add");
  const names = changes.map(({ name }) => name);
  const present = added.length > 0 ? new Map() : serversIn(working.current, backend, names);
  try {
    const plans = changes.map((change) =>
      planServer(backend, change, present.get(change.name), inherited, author),
    );
    working.applyAllLive(
      plans.map(({ edit }) => edit),
      (document) =>
        added.length > 0 ? addServers(document, backend, added) : removeServers(document, backend, names),
    );
    return plans;
  } catch {
    return undefined;
  }
}

function serverIn(document: Document, backend: string, name: string): ConfiguredServer | undefined {
  const section = backendSection(document, backend);
  return section && findServer(section, name);
}

/** Those servers of a backend that are named. */
function serversIn(
  document: Document,
  backend: string,
  names: readonly string[],
): ReadonlyMap<string, ConfiguredServer> {
  const section = backendSection(document, backend);
  const servers = new Map<string, ConfiguredServer>();
  for (const name of section === undefined ? [] : names) {
    const server = findServer(section!, name);
    if (server !== undefined) servers.set(name, server);
  }
  return servers;
}
