import { DomainError } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";
import type { Section } from "../text/section.ts";
import { type ChildLine, childrenOf } from "./children.ts";
import type { ChildKind, SectionKind } from "./kinds.ts";
import { languageOf } from "./languages.ts";
import { locate, namedSections, type ResourceId, writeResourceId } from "./locate.ts";
import { formatName, printableName, splitName } from "./name.ts";
import type { ResourceReader } from "./read-resource.ts";

/** A resource in a list, before anything of it is read. */
export interface Listed {
  /** Its resource name. */
  readonly name: () => string;
  /** Tells it apart from all others, those of the same name included. */
  readonly key: string;
  /** Its wire form. `children`: a section comes with its servers and binds. */
  readonly encode: (reader: ResourceReader, children: boolean) => Uint8Array;
}

/** Lists resources: all sections, those of a kind, or the children of a section. Throws `FIELD_INVALID` for a parent that is none, `RESOURCE_NOT_FOUND` for one that is not there. */
export function listResources(document: Document, parent: string, filter: string): readonly Listed[] {
  const matches = matcher(filter);
  if (parent === "") return listSections(document, undefined, matches);
  const parts = splitName(parent);
  const kind = languageOf(document).kindOfCollection(parts?.[0] ?? "");
  if (parts?.length === 1 && kind !== undefined) return listSections(document, kind, matches);
  const child = kind?.children.find(({ collection }) => collection === parts?.[2]);
  if (parts?.length !== 3 || kind === undefined || child === undefined) {
    const description = `must be empty, a collection of sections such as backends, or one of a section's such as backends/web/servers; found "${printableName(parent)}"`;
    throw new DomainError("FIELD_INVALID", `parent: ${description}`, {
      violations: [{ field: "parent", description }],
    });
  }
  const id: ResourceId = { kind, section: parts[1]!, child: undefined };
  const located = locate(document, id);
  if (located === undefined) {
    throw new DomainError(
      "RESOURCE_NOT_FOUND",
      `the configuration has no ${printableName(writeResourceId(id))}`,
      {
        resource: { type: kind.field, name: writeResourceId(id) },
      },
    );
  }
  const clear = located.ambiguity === undefined;
  const children = listChildren(document, kind, parts[1]!, located.section, child, clear);
  return filter === "" ? children : children.filter(({ id: own }) => matches(own));
}

function listSections(
  document: Document,
  only: SectionKind | undefined,
  matches: (id: string) => boolean,
): Listed[] {
  const listed: Listed[] = [];
  for (const { kind, id, section } of namedSections(document, only)) {
    if (!matches(id)) continue;
    const resource: ResourceId = { kind, section: id, child: undefined };
    listed.push({
      name: () => writeResourceId(resource),
      key: `${section.id}`,
      encode: (reader, children) => {
        const located = locate(document, resource)!;
        // Of several with a name, each is shown as it is.
        return reader.encode({ ...located, section }, children);
      },
    });
  }
  return listed;
}

interface ListedChild extends Listed {
  readonly id: string;
}

/** A section's children are listed again and again, page by page: the list is kept with the section. */
const KEPT = new WeakMap<
  Section,
  WeakMap<ChildKind, { readonly id: string; readonly list: readonly ListedChild[] }>
>();

function listChildren(
  document: Document,
  kind: SectionKind,
  sectionId: string,
  section: Section,
  child: ChildKind,
  clear: boolean,
): readonly ListedChild[] {
  let byKind = KEPT.get(section);
  if (byKind === undefined) {
    byKind = new WeakMap();
    KEPT.set(section, byKind);
  }
  const kept = byKind.get(child);
  if (clear && kept?.id === sectionId) return kept.list;
  const lines = childrenOf(section, kind, child);
  const plain =
    clear && section.marks.length === 0 && new Set(lines.map(({ id }) => id)).size === lines.length;
  if (!plain) return lines.map((line) => ambiguousChild(document, kind, sectionId, section, child, line));
  const parent = `${writeResourceId({ kind, section: sectionId, child: undefined })}/`;
  const list = lines.map((line) => plainChild(parent, kind, child, line));
  byKind.set(child, { id: sectionId, list });
  return list;
}

function plainChild(parent: string, kind: SectionKind, child: ChildKind, line: ChildLine): ListedChild {
  const name = () => `${parent}${formatName(child.collection, line.id)}`;
  return {
    id: line.id,
    name,
    key: line.id,
    encode: (reader) => reader.encodeChild(parent, kind, child, line, name),
  };
}

function ambiguousChild(
  document: Document,
  kind: SectionKind,
  sectionId: string,
  section: Section,
  child: ChildKind,
  line: ChildLine,
): ListedChild {
  const resource: ResourceId = { kind, section: sectionId, child: { kind: child, id: line.id } };
  return {
    id: line.id,
    name: () => writeResourceId(resource),
    key: `${line.index}`,
    encode: (reader) => {
      const located = locate(document, resource)!;
      return reader.encode({ ...located, section, index: line.index }, false);
    },
  };
}

/** What a filter lets through: an id, or all that begin with what stands before a `*` at its end. */
function matcher(filter: string): (id: string) => boolean {
  if (filter === "") return () => true;
  if (!filter.endsWith("*")) return (id) => id === filter;
  const prefix = filter.slice(0, -1);
  return (id) => id.startsWith(prefix);
}
