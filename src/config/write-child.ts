import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { checkLineValue, refuseViolations } from "../grammar/check.ts";
import { type LineText, printLine, rewriteValue } from "../grammar/line-text.ts";
import { placeLine } from "../grammar/place-line.ts";
import { readSection } from "../grammar/read-section.ts";
import { sameValue } from "../grammar/same.ts";
import { type Fields, slotOf } from "../grammar/slot.ts";
import { DomainError } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";
import { deleteLines, insertLines, replaceLine } from "../text/edit.ts";
import { placeBehindBlock } from "../text/extent.ts";
import type { Section } from "../text/section.ts";
import { idOfBind, lastChildIndex, readChild } from "./children.ts";
import type { ChildKind, SectionKind } from "./kinds.ts";
import type { Located, ResourceId } from "./locate.ts";
import { applyMask } from "./mask.ts";
import { atPath, type WriteContext } from "./write-context.ts";
import type { WritePaths } from "./write-section.ts";

/** Adds a server or bind to a section: behind another, else behind the last of its kind. */
export function createChild(
  document: Document,
  section: Section,
  id: ResourceId & { readonly child: { readonly kind: ChildKind; readonly id: string } },
  value: Fields,
  after: Located | undefined,
  { version }: WriteContext,
  paths: WritePaths,
): Document {
  const { kind, child } = id;
  const message = named(child.kind, value, child.id, paths);
  const text = atPath(paths.value, () =>
    written(child.kind, message, version, () => printLine(child.kind.directive, message, "")),
  );
  const index =
    after === undefined ? placeOf(kind, child.kind, section) : placeBehindBlock(section, after.index + 1);
  return atPath(paths.value, () => insertLines(document, section, index, [text]).document);
}

/** Changes a server or bind. Returns the document itself when nothing differs. */
export function updateChild(
  document: Document,
  located: Located,
  value: Fields,
  mask: FieldMask | undefined,
  { version }: WriteContext,
  paths: WritePaths,
): Document {
  const { kind, section, index, name } = located;
  const child = located.child!;
  const { directive } = child.kind;
  const line = section.lines.at(index)!;
  const typed = readChild(kind, child.kind, line);
  if (typed === undefined) {
    const why = "its line has something that the grammar cannot read";
    throw new DomainError(
      "RESOURCE_AMBIGUOUS",
      `${name} cannot be written by name: ${why}; change the document instead`,
      {
        resource: { type: child.kind.case, name },
        metadata: { why },
      },
    );
  }
  const { desc } = directive.codec!;
  const nameField = desc.field.name!;
  const { message } = applyMask(desc, typed.value as Fields, value, mask, {
    path: paths.mask,
    unless: (field) =>
      (child.kind.case === "server" && field === nameField) || field.name === "unmodelled_words",
  });
  if (child.kind.case === "server" && slotOf(nameField).get(message) !== child.id)
    throw disagrees(paths, name);
  if (sameValue(directive, typed.value, message)) return document;
  return atPath(paths.value, () => {
    const text = written(child.kind, message, version, () =>
      rewriteValue(directive, line, typed.keyword, message, ""),
    );
    return replaceLine(document, section, index, text).document;
  });
}

/** Removes a server or bind. */
export function removeChild(document: Document, { section, index }: Located): Document {
  return deleteLines(document, section, index, 1).document;
}

/** The message with the name that the resource's name gives it. */
function named(child: ChildKind, value: Fields, id: string, paths: WritePaths): Fields {
  const { desc } = child.directive.codec!;
  const message: Fields = { ...value };
  const field = slotOf(desc.field.name!);
  const given = field.get(message);
  if (child.case === "server") {
    if (given !== "" && given !== undefined && given !== id) throw disagrees(paths, id);
    field.set(message, id);
  } else if (!id.startsWith("@")) {
    if (given !== undefined && given !== id) throw disagrees(paths, id);
    field.set(message, id);
  } else if (idOfBind(message) !== id) throw disagrees(paths, id);
  return message;
}

function disagrees(paths: WritePaths, id: string): DomainError {
  const field = `${paths.value}.name`;
  const description = `must agree with the resource's name, which says "${id}", or be left out`;
  return new DomainError("FIELD_INVALID", `${field}: ${description}`, {
    violations: [{ field, description }],
  });
}

/** The text of a line after its value was checked. Paths of errors are relative to the value. */
function written(
  { directive }: ChildKind,
  message: Fields,
  version: WriteContext["version"],
  write: () => LineText,
): string | Buffer {
  refuseViolations(
    checkLineValue(directive, message, version, "").map((violation) => ({
      ...violation,
      field: violation.field.replace(/^\./, ""),
    })),
  );
  const text = write();
  if (text.ok) return text.text;
  const { description } = text.violation;
  throw new DomainError("FIELD_INVALID", description);
}

/** The index before which a new child goes. */
function placeOf(kind: SectionKind, child: ChildKind, section: Section): number {
  const last = lastChildIndex(section, child);
  if (last !== undefined) return placeBehindBlock(section, last + 1);
  const { codec } = kind;
  return placeLine(codec, section, readSection(codec, section, { children: true }), child.directive, []);
}
