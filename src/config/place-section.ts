import type { Fields } from "../grammar/slot.ts";
import type { Document } from "../text/document.ts";
import type { Placement } from "../text/edit-sections.ts";
import type { Section } from "../text/section.ts";
import { lastAbove } from "./defaults.ts";
import { invalid } from "./invalid.ts";
import type { SectionKind } from "./kinds.ts";
import type { Located } from "./locate.ts";

/** Kinds of sections that inherit from the `defaults` above them. */
const INHERITING: ReadonlySet<string> = new Set(["frontend", "backend", "listen"]);

/**
 * Where a new section goes: where the caller says, else behind the last of its kind, else at the end; `global` and the first `defaults` go to the top. Throws `FIELD_INVALID` where
 * that would give a meaning that nobody asked for: a proxy that does not say what it inherits from, where several `defaults` could be meant and the one above has no name; and a `defaults`
 * section above proxies that inherit from whatever stands above them.
 */
export function placeSection(
  document: Document,
  kind: SectionKind,
  message: Fields,
  after: Located | undefined,
  paths: { readonly value: string; readonly after: string },
): Placement {
  const placement: Placement =
    after === undefined ? defaultPlace(document, kind.keyword) : { after: after.section };
  if (INHERITING.has(kind.keyword)) {
    const { fromDefaults } = message as unknown as { fromDefaults?: string };
    if (fromDefaults === undefined && after === undefined) checkInherited(document, kind, placement, paths);
  }
  if (kind.keyword === "defaults") checkHeirs(document, placement, paths);
  return placement;
}

function defaultPlace(document: Document, keyword: string): Placement {
  const last = document.lastOf(keyword);
  if (last !== undefined) return { after: last };
  if (keyword === "global") return { after: preambleOf(document) };
  if (keyword === "defaults") return { after: document.lastOf("global") ?? preambleOf(document) };
  return { endOf: document.parts.length - 1 };
}

/** The lines before the first section of the first file. */
function preambleOf(document: Document): Section {
  for (const section of document.sections(0)) return section;
  throw new Error("a part always has its lines before the first section");
}

function checkInherited(
  document: Document,
  kind: SectionKind,
  placement: Placement,
  paths: { readonly value: string },
): void {
  const all = document.list("defaults");
  const above = inheritedAt(document, placement);
  if (all.length < 2 || above === undefined || above.name !== "") return;
  throw invalid(
    `${paths.value}.from_defaults`,
    `must be set, or \`after\`: the file has ${all.length} defaults sections, and behind the last ${kind.keyword} it is one without a name that would be inherited`,
  );
}

/** The `defaults` that a section at a place inherits from when it names none. */
function inheritedAt(document: Document, placement: Placement): Section | undefined {
  if (!("after" in placement)) return document.lastOf("defaults");
  const { after } = placement;
  return after.keyword === "defaults" ? after : lastAbove(document, after);
}

/** A `defaults` section changes what the proxies below it inherit that name none. */
function checkHeirs(document: Document, placement: Placement, paths: { readonly after: string }): void {
  const heir = heirsBehind(document, placement)[0];
  if (heir === undefined) return;
  throw invalid(
    paths.after,
    `${heir.keyword} ${heir.name} inherits from what stands above it, which would be the new section there: give it from_defaults, or choose another place`,
  );
}

/** The proxies behind a place that inherit from the `defaults` above them, up to the next one. */
function heirsBehind(document: Document, placement: Placement): Section[] {
  const heirs: Section[] = [];
  let behind = false;
  for (const section of document.sections()) {
    if (behind && section.keyword === "defaults") break;
    if (behind && INHERITING.has(section.keyword) && section.from === undefined) heirs.push(section);
    if ("after" in placement && section === placement.after) behind = true;
  }
  return heirs;
}

/** The proxies that inherit from a `defaults` section because it is the last one above them. */
export function heirsOf(document: Document, defaults: Section): Section[] {
  return heirsBehind(document, { after: defaults });
}
