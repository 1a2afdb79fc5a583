import { readCrtList } from "./crt-list.ts";
import type { Directories } from "./directories.ts";
import type { FileKind } from "./kinds.ts";
import type { FileFacts } from "./known-files.ts";
import type { Referrer } from "./live.ts";
import type { ManagedDirectory } from "./managed-directory.ts";
import { ownersOf } from "./side-files.ts";

/** The lines of the configuration that name a path below one of some directories, or one of these directories. */
export type ConfigurationReferrers = (roots: readonly string[]) => readonly Referrer[];

/** What names the files, as it is now. */
export type ReferrersOf = () => Promise<(kind: FileKind, name: string) => readonly Referrer[]>;

/** Finds what names files: lines of the configuration, and lines of crt-lists. */
export function createReferrers(
  directories: Directories,
  configuration: ConfigurationReferrers,
): ReferrersOf {
  const roots = [...new Set(Object.values(directories).map(({ path }) => path))];
  return async () => {
    const found = [...configuration(roots), ...(await crtListReferrers(directories["crt-lists"]))];
    const byPath = Map.groupBy(found, ({ path }) => path);
    return (kind, name) => {
      const directory = directories[kind];
      const names = kind === "certificates" ? [name, ...ownersOf(name)] : [name];
      return [
        ...names.flatMap((one) => byPath.get(`${directory.path}/${one}`) ?? []),
        ...(byPath.get(directory.path) ?? []),
      ];
    };
  };
}

const KNOWN = new WeakMap<FileFacts, readonly Referrer[]>();

async function crtListReferrers(directory: ManagedDirectory): Promise<Referrer[]> {
  const found: Referrer[] = [];
  for (const facts of await directory.list()) {
    let own = KNOWN.get(facts);
    if (own === undefined) {
      own = referrersIn(facts.path, (await directory.read(facts.name))?.toString("latin1") ?? "");
      KNOWN.set(facts, own);
    }
    found.push(...own);
  }
  return found;
}

/** A list that was broken by hand names nothing that could be known. */
function referrersIn(file: string, content: string): readonly Referrer[] {
  try {
    return readCrtList(content).map(({ certificate, number }) => ({
      ...{ path: certificate, directive: "crt-list", file, line: number, resource: "", converter: "" },
    }));
  } catch {
    return [];
  }
}
