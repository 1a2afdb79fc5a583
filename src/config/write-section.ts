import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { editSection } from "../grammar/edit-section.ts";
import { printSection } from "../grammar/print-section.ts";
import { sectionMessage } from "../grammar/section-message.ts";
import { type Fields, slotOf } from "../grammar/slot.ts";
import type { Document } from "../text/document.ts";
import { deleteSection, insertSection } from "../text/edit-sections.ts";
import { crossingMark, ownEnd } from "../text/extent.ts";
import { invalid } from "./invalid.ts";
import type { SectionKind } from "./kinds.ts";
import { type Located, type ResourceId, refuseAmbiguous, writeResourceId } from "./locate.ts";
import { applyMask, isSet } from "./mask.ts";
import { placeSection } from "./place-section.ts";
import { atPath, type WriteContext } from "./write-context.ts";

/** Where the parts of a write stand in its request, for the errors. */
export interface WritePaths {
  /** The message with the values: `resource.backend`. */
  readonly value: string;
  readonly mask: string;
  readonly after: string;
}

/** Adds a section with all that its message says, its children included. Throws `FIELD_INVALID`, `NOT_SUPPORTED`. */
export function createSection(
  document: Document,
  id: ResourceId,
  value: Fields,
  after: Located | undefined,
  { version }: WriteContext,
  paths: WritePaths,
): Document {
  const { kind } = id;
  if (id.section.startsWith("@") && (kind.naming === "optional" || id.section !== "@1")) {
    throw invalid(
      `${paths.value}.name`,
      `${kind.field} sections are added under a name: one without would change what those below it mean`,
    );
  }
  const message = { ...value };
  const { name } = kind.codec.roles;
  if (name !== undefined) {
    checkName(kind, value, id.section, paths);
    slotOf(name.field).set(message, id.section);
  }
  const place = placeSection(document, kind, message, after, paths);
  return atPath(paths.value, () => {
    const { header, lines } = printSection(
      kind.codec,
      message,
      { kind: kind.keyword, version },
      document.structure,
    );
    return insertSection(document, place, header, lines).document;
  });
}

/** Makes a section say what the masked message says. Returns the document itself when it does already. */
export function updateSection(
  document: Document,
  { kind, section }: Located,
  value: Fields,
  mask: FieldMask | undefined,
  { version }: WriteContext,
  paths: WritePaths,
): Document {
  const { codec } = kind;
  checkName(kind, value, section.name, paths);
  const unmodelled = codec.roles.unmodelled?.field;
  const name = codec.roles.name?.field;
  const current = sectionMessage(codec, section, {
    children: takesChildren(kind, value, mask),
    secrets: true,
  });
  const masked = applyMask(codec.desc, current, value, mask, {
    path: paths.mask,
    unless: (field) => field === unmodelled || codec.directive(field)?.syntax.child === true,
  });
  const fields = new Set([...masked.fields].filter((field) => field !== name));
  return atPath(
    paths.value,
    () =>
      editSection(document, section, codec, masked.message, {
        fields,
        ...(version !== undefined && { version }),
      }).document,
  );
}

/** Removes a section with its children. Throws `RESOURCE_AMBIGUOUS` when a conditional block is among its lines in part. */
export function removeSection(document: Document, located: Located): Document {
  const { section, name } = located;
  const crossing = crossingMark(section, ownEnd(section));
  if (crossing !== undefined) {
    const { line } = document.positionOf(section, crossing.index);
    const where =
      crossing.kind === "if"
        ? `begins among its lines, in line ${line}, and ends in a section below`
        : `begins above it and goes on or ends among its lines, in line ${line}`;
    refuseAmbiguous({ ...located, ambiguity: `a conditional block ${where}` });
  }
  return atPath(name, () => deleteSection(document, section));
}

/** Whether an update sets the servers or binds of a section. */
export function takesChildren(kind: SectionKind, value: Fields, mask: FieldMask | undefined): boolean {
  return kind.children.some(({ directive }) => {
    const { field } = directive.syntax;
    return isSet(field, value) || mask?.paths.some((path) => path.split(".")[0] === field.name) === true;
  });
}

function checkName(kind: SectionKind, value: Fields, id: string, paths: WritePaths): void {
  const { name } = kind.codec.roles;
  const given = name === undefined ? undefined : slotOf(name.field).get(value);
  const expected = id.startsWith("@") ? "" : id;
  if (given === undefined || given === "" || given === expected) return;
  const resource = writeResourceId({ kind, section: id, child: undefined });
  throw invalid(
    `${paths.value}.${name!.field.name}`,
    `must agree with the resource's name, ${resource}, or be left out: resources keep their names`,
  );
}
