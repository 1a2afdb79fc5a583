import { placedLines, readLineOf } from "../grammar/read-section.ts";
import { DomainError, type FieldViolation } from "../lib/errors.ts";
import { runSteps, type Steps } from "../lib/steps.ts";
import type { Document } from "../text/document.ts";
import type { Section } from "../text/section.ts";
import { childrenOf, findChildren, readChild } from "./children.ts";
import { chunkHolds } from "./chunk-holds.ts";
import type { SectionKind } from "./kinds.ts";
import { languageOf } from "./languages.ts";
import { type Reference, referencesIn } from "./line-references.ts";
import { type Located, namedSections, writeResourceId } from "./locate.ts";
import { heirsOf } from "./place-section.ts";
import { SERVER_SECTIONS } from "./server.ts";

/** A reference, and the value that it is part of. */
interface PlacedReference extends Reference {
  /** The section's field, with the place in it: `use_backend_rules[2].backend`. */
  readonly field: string;
  /** Index of the line in the section. */
  readonly index: number;
}

/** A written resource, and where its values stand in the request. */
export interface Written {
  readonly located: Located;
  /** Path of the value: `resource.frontend`. */
  readonly path: string;
  /** A section whose servers and binds were written with it. */
  readonly children: boolean;
}

/** Throws `REFERENCE_MISSING` when what was written names something that is not there, with one violation for each value that does. */
export function checkReferences(document: Document, written: readonly Written[]): void {
  runSteps(referenceSteps(document, written));
}

/** `checkReferences` in steps. */
export function* referenceSteps(document: Document, written: readonly Written[]): Steps<void> {
  const violations: FieldViolation[] = [];
  for (const { located, path, children } of written) {
    yield;
    for (const reference of referencesOf(located, children)) {
      if (exists(document, located.section, reference)) continue;
      const field = `${path}${located.child === undefined ? `.${reference.field}` : reference.path}`;
      violations.push({ field, description: `names ${describe(reference)}, which is not there` });
    }
    const { section, kind } = located;
    if (located.child !== undefined || section.from === undefined) continue;
    if (document.find("defaults", section.from).length > 0) continue;
    violations.push({
      field: `${path}.${kind.codec.roles.from?.field.name ?? ""}`,
      description: `names defaults ${section.from}, which is not there`,
    });
  }
  refuse("REFERENCE_MISSING", violations);
}

/** A resource that was removed: what others may have named. */
export interface Removed {
  /** Its name. */
  readonly resource: string;
  readonly kind: SectionKind;
  /** The section as it was. */
  readonly section: Section;
  /** Name of the server, when only that was removed. */
  readonly server: string | undefined;
}

/** Throws `RESOURCE_IN_USE` when lines name what is not there any more, with one violation for each. `before` is the document that had it all. */
export function checkRemoved(before: Document, document: Document, removed: readonly Removed[]): void {
  runSteps(removalSteps(before, document, removed));
}

/** `checkRemoved` in steps. */
export function* removalSteps(
  before: Document,
  document: Document,
  removed: readonly Removed[],
): Steps<void> {
  refuse("RESOURCE_IN_USE", yield* usageSteps(before, document, removed));
}

/** What names resources that were removed: the resource as `field`, and how in the description. In steps. */
export function* usageSteps(
  before: Document,
  document: Document,
  removed: readonly Removed[],
): Steps<readonly FieldViolation[]> {
  if (removed.length === 0) return [];
  const violations = heirs(before, document, removed);
  const names = new Set(removed.map(({ section, server }) => server ?? section.name));
  const texts = [...names].map((name) => Buffer.from(name));
  for (const { kind, id, section } of namedSections(document)) {
    yield;
    if (
      section.from !== undefined &&
      names.has(section.from) &&
      !exists(document, section, asDefaults(section.from))
    )
      violations.push(usage(document, kind, id, section, 0, "from", asDefaults(section.from)));
    for (const reference of referencesNaming(kind, section, texts))
      if (isAbout(reference.name, names) && !exists(document, section, reference))
        violations.push(usage(document, kind, id, section, reference.index, reference.field, reference));
  }
  return violations;
}

/** More names than this are looked for by reading every line once instead of searching the text for each. */
const FEW_NAMES = 64;

/** The references of a section's lines that hold one of some texts. */
function* referencesNaming(
  kind: SectionKind,
  section: Section,
  texts: readonly Buffer[],
): Generator<PlacedReference> {
  if (texts.length > FEW_NAMES) {
    yield* sectionReferences(kind, section, true);
    return;
  }
  let first = 0;
  for (const chunk of section.lines.chunks) {
    if (texts.some((text) => chunkHolds(chunk, text))) {
      for (let offset = 0; offset < chunk.length; offset++) {
        const index = first + offset;
        const line = chunk.at(offset);
        if (index === 0 || line.empty || !texts.some((text) => line.bytes.includes(text))) continue;
        const reading = readLineOf(kind.codec, kind.keyword, line);
        if (reading.kind !== "typed") continue;
        const { field } = reading.directive.syntax;
        for (const reference of referencesIn(reading.directive, reading.value))
          yield { ...reference, field: `${field.name}${reference.path}`, index };
      }
    }
    first += chunk.length;
  }
}

function referencesOf(located: Located, children: boolean): PlacedReference[] {
  const { kind, section, index, child } = located;
  if (child === undefined) return [...sectionReferences(kind, section, children)];
  const typed = readChild(kind, child.kind, section.lines.at(index)!);
  if (typed === undefined) return [];
  return referencesIn(typed.directive, typed.value).map((reference) => ({
    ...reference,
    field: reference.path,
    index,
  }));
}

function* sectionReferences(
  kind: SectionKind,
  section: Section,
  children: boolean,
): Generator<PlacedReference> {
  const counts = new Map<string, number>();
  for (const { index, reading } of placedLines(kind.codec, section, { children })) {
    if (reading.kind !== "typed") continue;
    const { directive, value } = reading;
    const { name } = directive.syntax.field;
    const count = counts.get(name) ?? 0;
    if (directive.repeated) counts.set(name, count + 1);
    for (const reference of referencesIn(directive, value)) {
      const element = directive.repeated ? `${name}[${count}]` : name;
      yield { ...reference, field: `${element}${reference.path}`, index };
    }
  }
}

/** Names that HAProxy has without a section. */
const BUILT_IN: Readonly<Record<string, string>> = { resolvers: "default" };

function exists(
  document: Document,
  section: Section,
  { target, name }: Pick<Reference, "target" | "name">,
): boolean {
  switch (target) {
    case "backend":
      return document.find(SERVER_SECTIONS, name).length > 0;
    case "server":
      return serverExists(document, section, name);
    case "table":
      return tableExists(document, section, name);
    default:
      return BUILT_IN[target] === name || document.find(target, name).length > 0;
  }
}

/** Whether there is a server `name` in the section, or `backend/server`. Servers of templates have names that only HAProxy knows. */
function serverExists(document: Document, section: Section, name: string): boolean {
  const slash = name.indexOf("/");
  const sections = slash < 0 ? [section] : document.find(SERVER_SECTIONS, name.slice(0, slash));
  return sections.some((holder) => {
    const kind = languageOf(document).kindOfKeyword(holder.keyword);
    const child = kind?.children.find((candidate) => candidate.case === "server");
    if (kind === undefined || child === undefined) return true;
    const own = findChildren(holder, kind, child, name.slice(slash + 1)).length > 0;
    return own || hasTemplates(holder);
  });
}

function hasTemplates(section: Section): boolean {
  for (const line of section.lines) if (line.firstWords(1)[0]?.value === "server-template") return true;
  return false;
}

/** A stick table is a proxy's, or one of a peers section: `peers/table`, in a peers section also its own. */
function tableExists(document: Document, section: Section, name: string): boolean {
  const slash = name.indexOf("/");
  if (slash >= 0) {
    const peers = document.find("peers", name.slice(0, slash));
    return peers.some((holder) => holder.lines.find("table", name.slice(slash + 1)).length > 0);
  }
  return section.keyword === "peers" || document.find(["frontend", "backend", "listen"], name).length > 0;
}

/** Whether a reference's name, or one of the two that a slash joins, is among some names. */
function isAbout(name: string, names: ReadonlySet<string>): boolean {
  return names.has(name) || name.split("/").some((part) => names.has(part));
}

function heirs(before: Document, document: Document, removed: readonly Removed[]): FieldViolation[] {
  return removed
    .filter(({ kind, server }) => kind.keyword === "defaults" && server === undefined)
    .flatMap(({ section }) => heirsOf(before, section))
    .flatMap((heir) => {
      const present = document.current(heir);
      const kind = languageOf(document).kindOfKeyword(heir.keyword);
      if (present === undefined || present.from !== undefined || kind === undefined) return [];
      const subject = writeResourceId({ kind, section: heir.name, child: undefined });
      return [{ field: subject, description: "inherits from it, as the last defaults above" }];
    });
}

function asDefaults(name: string): Reference {
  return { target: "defaults", name, path: "" };
}

function usage(
  document: Document,
  kind: SectionKind,
  id: string,
  section: Section,
  index: number,
  field: string,
  reference: Reference,
): FieldViolation {
  const { part, line } = document.positionOf(section, index);
  const child = kind.children.find((candidate) =>
    childrenOf(section, kind, candidate).some((other) => other.index === index),
  );
  const own = child && childrenOf(section, kind, child).find((other) => other.index === index);
  const subject = writeResourceId({
    kind,
    section: id,
    child: child && own && { kind: child, id: own.id },
  });
  return {
    field: subject,
    description: `names ${describe(reference)} in ${field} (${document.parts[part]!.path}:${line})`,
  };
}

function describe({ target, name }: Pick<Reference, "target" | "name">): string {
  return target === "table" ? `the stick table ${name}` : `${target} ${name}`;
}

function refuse(
  reason: "REFERENCE_MISSING" | "RESOURCE_IN_USE",
  violations: readonly FieldViolation[],
): void {
  const [first] = violations;
  if (first === undefined) return;
  throw new DomainError(reason, `${first.field} ${first.description}`, { violations });
}
