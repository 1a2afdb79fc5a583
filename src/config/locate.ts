import { DomainError } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";
import type { Section } from "../text/section.ts";
import { findChildren } from "./children.ts";
import type { ChildKind, Language, SectionKind } from "./kinds.ts";
import { configLanguage, languageOf } from "./languages.ts";
import { formatName, printableName, splitName } from "./name.ts";

/** A resource name of the configuration, taken apart. */
export interface ResourceId {
  readonly kind: SectionKind;
  /** The section's name; `@2` for the second without one. */
  readonly section: string;
  /** For a line that is a resource. */
  readonly child: { readonly kind: ChildKind; readonly id: string } | undefined;
}

/** Where a resource stands. */
export interface Located extends Omit<ResourceId, "section"> {
  /** Its name as haplane writes it. */
  readonly name: string;
  readonly section: Section;
  /** Index of the line, for one that is a line; else 0. */
  readonly index: number;
  /** Why it is not known which lines the name means; undefined when it is. */
  readonly ambiguity: string | undefined;
}

/** Reads a resource name of a language. Throws `FIELD_INVALID` for `field` when it has none of the forms. */
export function readResourceId(name: string, field: string, language = configLanguage()): ResourceId {
  const id = tryResourceId(name, language);
  if (id !== undefined) return id;
  const description = `must be the name of a resource, such as ${language.examples}; each id percent-encoded; found "${printableName(name)}"`;
  throw new DomainError("FIELD_INVALID", `${field}: ${description}`, {
    violations: [{ field, description }],
  });
}

function tryResourceId(name: string, language: Language): ResourceId | undefined {
  const parts = splitName(name);
  const kind = parts === undefined ? undefined : language.kindOfCollection(parts[0]!);
  if (parts === undefined || kind === undefined) return undefined;
  if (kind.naming === "none" && parts.length === 1) return { kind, section: "@1", child: undefined };
  if (parts.length === 2) return { kind, section: parts[1]!, child: undefined };
  const child = kind.children.find(({ collection }) => collection === parts[2]);
  if (parts.length !== 4 || child === undefined) return undefined;
  return { kind, section: parts[1]!, child: { kind: child, id: parts[3]! } };
}

/** Writes a resource name. */
export function writeResourceId({ kind, section, child }: ResourceId): string {
  const own =
    kind.naming === "none" && section === "@1" ? kind.collection : formatName(kind.collection, section);
  return child === undefined ? own : `${own}/${formatName(child.kind.collection, child.id)}`;
}

/** Finds a resource; undefined when the document has none of that name. Of several with the name it is the first. */
export function locate(document: Document, id: ResourceId): Located | undefined {
  const { kind, child } = id;
  const found = sectionsNamed(document, kind, id.section);
  const section = found[0];
  if (section === undefined) return undefined;
  const name = writeResourceId(id);
  const above = sectionAmbiguity(document, section, found.length);
  if (child === undefined) return { name, kind, section, child, index: 0, ambiguity: above };
  const lines = findChildren(section, kind, child.kind, child.id);
  const index = lines[0];
  if (index === undefined) return undefined;
  return {
    ...{ name, kind, section, child, index },
    ambiguity: above ?? childAmbiguity(document, section, index, lines.length),
  };
}

/** Finds a resource to be written. Throws `RESOURCE_NOT_FOUND`, and `RESOURCE_AMBIGUOUS` when it is not known which lines are meant. */
export function locateForWrite(document: Document, id: ResourceId): Located {
  const located = locate(document, id);
  if (located === undefined) throw notFound(id);
  refuseAmbiguous(located);
  return located;
}

/** Throws `RESOURCE_AMBIGUOUS` when it is not known which lines a name means. */
export function refuseAmbiguous({ name, kind, child, ambiguity }: Located): void {
  if (ambiguity === undefined) return;
  throw new DomainError(
    "RESOURCE_AMBIGUOUS",
    `${name} cannot be written by name: ${ambiguity}; change the document instead`,
    {
      resource: { type: child?.kind.case ?? kind.field, name },
      metadata: { why: ambiguity },
    },
  );
}

/** The error that says that there is no such resource. */
export function notFound(id: ResourceId): DomainError {
  const name = writeResourceId(id);
  return new DomainError("RESOURCE_NOT_FOUND", `the configuration has no ${printableName(name)}`, {
    resource: { type: id.child?.kind.case ?? id.kind.field, name },
  });
}

/** The sections that a name means: those of the name, or the one at the place that a synthesized name gives. */
function sectionsNamed(document: Document, kind: SectionKind, id: string): Section[] {
  const place = /^@([1-9]\d{0,8})$/.exec(id)?.[1];
  if (place === undefined) return kind.naming === "none" ? [] : document.find(kind.keyword, id);
  if (kind.naming === "required") return [];
  const unnamed = kind.naming === "none" ? document.list(kind.keyword) : document.find(kind.keyword, "");
  return unnamed.slice(Number(place) - 1, Number(place));
}

/** All sections that are resources, in order, each with its name's id. */
export function* namedSections(
  document: Document,
  only?: SectionKind,
): Generator<{ kind: SectionKind; id: string; section: Section }> {
  const language = languageOf(document);
  const unnamed = new Map<SectionKind, number>();
  const sections = only === undefined ? document.sections() : document.list(only.keyword);
  for (const section of sections) {
    const kind = only ?? language.kindOfKeyword(section.keyword);
    if (kind === undefined) continue;
    let id = kind.naming === "none" ? "" : section.name;
    if (id === "") {
      // A header that lacks the name it needs is nothing that HAProxy takes, and nothing that could be named.
      if (kind.naming === "required") continue;
      const place = (unnamed.get(kind) ?? 0) + 1;
      unnamed.set(kind, place);
      id = `@${place}`;
    }
    yield { kind, id, section };
  }
}

function sectionAmbiguity(document: Document, section: Section, count: number): string | undefined {
  if (count > 1) return `${count} sections have the name`;
  return document.armOf(section) === undefined ? undefined : "it stands in a conditional block";
}

function childAmbiguity(
  document: Document,
  section: Section,
  index: number,
  count: number,
): string | undefined {
  if (count > 1) return `${count} lines of the section have the name`;
  if (section.marks.length === 0) return undefined;
  return document.armOf(section, index) === document.armOf(section)
    ? undefined
    : "it stands in a conditional block";
}
