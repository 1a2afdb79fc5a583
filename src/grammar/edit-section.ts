import type { DescField } from "@bufbuild/protobuf";
import type { Document } from "../text/document.ts";
import { deleteLines, type Edited, insertLines, replaceHeader, replaceLine } from "../text/edit.ts";
import type { Line } from "../text/line.ts";
import { rewriteLine } from "../text/rewrite.ts";
import type { Section } from "../text/section.ts";
import { checkLines, checkLineValue, checkNames, checkPlace, isAbsent, refuseViolations } from "./check.ts";
import type { Directive, LineValue } from "./directive.ts";
import { identityOf } from "./identity.ts";
import { printLine, rewriteValue } from "./line-text.ts";
import { diffLists } from "./list-diff.ts";
import { placeLine } from "./place-line.ts";
import { readSection } from "./read-section.ts";
import { sameValue } from "./same.ts";
import type { SectionCodec, TypedLine } from "./section-codec.ts";
import type { LineChanges, SectionEdit } from "./section-edit.ts";
import { type Fields, slotOf } from "./slot.ts";
import { editUnmodelled } from "./unmodelled.ts";
import type { Version } from "./version.ts";

/** How a section is to be changed. */
export interface EditOptions {
  /** The fields to take from the message, its name apart: that stays. */
  readonly fields: ReadonlySet<DescField>;
  /** The HAProxy that will read the section; undefined: any. */
  readonly version?: Version;
}

/**
 * Makes a section say what a message says, and touches only the lines of the fields that differ: they change in place and keep their
 * comment, indentation and the spelling of all words that stay. Elements of a repeated field are matched, so that neighbours of what is
 * added, moved or removed stay as they are.
 *
 * Throws FIELD_INVALID for values that cannot be written, NOT_SUPPORTED for what the running HAProxy does not have; each violation names
 * the field.
 */
export function editSection(
  document: Document,
  section: Section,
  codec: SectionCodec,
  message: Fields,
  { fields, version }: EditOptions,
): Edited {
  const wanted = (field: DescField) => fields.has(field);
  const children = codec.directives.some(({ syntax }) => syntax.child && wanted(syntax.field));
  const reading = readSection(codec, section, { children });
  const edit: SectionEdit = {
    codec,
    section,
    reading,
    version,
    changes: { replaced: new Map(), inserted: new Map() },
    violations: [],
  };
  for (const directive of codec.directives)
    if (wanted(directive.syntax.field)) editDirective(edit, directive, message);
  const { unmodelled } = codec.roles;
  if (unmodelled !== undefined && wanted(unmodelled.field))
    editUnmodelled(edit, slotOf(unmodelled.field).get(message), document.structure);
  edit.violations.push(...checkNames(codec, message, { kind: section.keyword, version }, wanted));
  refuseViolations(edit.violations);
  const edited = apply(document, section, edit.changes);
  return editHeader(edited, edit, message, fields);
}

function editDirective(edit: SectionEdit, directive: Directive, message: Fields): void {
  const { field } = directive.syntax;
  const lines = edit.reading.lines.get(directive) ?? [];
  const value = slotOf(field).get(message);
  const next = isAbsent(directive, value) ? [] : directive.repeated ? (value as LineValue[]) : [value];
  if (lines.length === next.length && lines.every((line, i) => sameValue(directive, line.value, next[i])))
    return;
  if (next.length > 0 && lines.length === 0)
    edit.violations.push(...checkPlace(edit.codec, directive, edit.section.keyword));
  if (directive.repeated && next.length > 0) edit.violations.push(...checkLines(directive, next));
  const steps = diffLists(
    lines.map((line) => elementOf(directive, line.value)),
    next.map((element) => elementOf(directive, element)),
  );
  const gone = new Set(lines.keys());
  const pending: (string | Buffer)[] = [];
  let behind: number | undefined;
  const flush = (before: number) => {
    if (pending.length > 0) insert(edit.changes, before, pending.splice(0));
  };
  steps.forEach((step, i) => {
    const path = directive.repeated ? `${field.name}[${i}]` : field.name;
    if (step.kind === "add") {
      const text = written(edit, directive, next[i], path, () => printLine(directive, next[i], path));
      if (text !== undefined) pending.push(text);
      return;
    }
    gone.delete(step.old);
    const { index } = lines[step.old]!;
    const text = textOf(edit, directive, lines[step.old]!, next[i], path);
    if (step.kind === "move") {
      edit.changes.replaced.set(index, undefined);
      if (text !== undefined) pending.push(withoutIndentation(text));
      return;
    }
    flush(behind === undefined ? index : behind + 1);
    behind = index;
    if (step.kind === "change" && text !== undefined) edit.changes.replaced.set(index, text);
  });
  for (const old of gone) edit.changes.replaced.set(lines[old]!.index, undefined);
  if (next.length === 0) deleteSuperseded(edit, directive);
  if (pending.length === 0) return;
  if (behind !== undefined) flush(behind + 1);
  else if (lines.length > 0) flush(lines[0]!.index);
  else flush(placeLine(edit.codec, edit.section, edit.reading, directive, definedNames(directive, next)));
}

/** Without the line that counts, one above it that did not would count again. */
function deleteSuperseded({ reading, changes }: SectionEdit, directive: Directive): void {
  for (const line of reading.unmodelled)
    if (line.reason.kind === "superseded" && line.directive === directive)
      changes.replaced.set(line.index, undefined);
}

/** The old line's text, changed where the value differs. */
function textOf(
  edit: SectionEdit,
  directive: Directive,
  line: TypedLine & { readonly index: number },
  value: LineValue,
  path: string,
): string | Buffer | undefined {
  const old = edit.section.lines.at(line.index)!;
  if (sameValue(directive, line.value, value)) return withoutNewline(old);
  return written(edit, directive, value, path, () => rewriteValue(directive, old, line.keyword, value, path));
}

/** A text that was checked; undefined, with the violations noted, when it cannot be written. */
function written(
  edit: SectionEdit,
  directive: Directive,
  value: LineValue,
  path: string,
  write: () => ReturnType<typeof printLine>,
): string | Buffer | undefined {
  const violations = checkLineValue(directive, value, edit.version, path);
  if (violations.length > 0) {
    edit.violations.push(...violations);
    return undefined;
  }
  const result = write();
  if (result.ok) return result.text;
  edit.violations.push(result.violation);
  return undefined;
}

function elementOf(directive: Directive, value: LineValue) {
  return {
    key: keyOf(directive, value),
    identity: directive.codec && identityOf(directive.codec.desc, value as Fields),
    sort: sortOf(directive, value),
  };
}

/** Equal for values that are written alike. A value that cannot be written is like no other. */
function keyOf(directive: Directive, value: LineValue): string {
  try {
    return directive.write(value, undefined).join("\0");
  } catch {
    return "\0";
  }
}

/** Which member of its first oneof an element has, such as the action of a rule. */
function sortOf({ codec }: Directive, value: LineValue): string | undefined {
  const oneof = codec?.desc.oneofs[0];
  return oneof === undefined
    ? undefined
    : ((value as Fields)[oneof.localName] as { case: string | undefined }).case;
}

function definedNames({ syntax, codec }: Directive, values: readonly LineValue[]): string[] {
  const field =
    syntax.defines === "" ? undefined : codec?.desc.fields.find(({ name }) => name === syntax.defines);
  return field === undefined ? [] : values.map((value) => String((value as Fields)[field.localName]));
}

function insert(changes: LineChanges, before: number, texts: readonly (string | Buffer)[]): void {
  const known = changes.inserted.get(before);
  if (known === undefined) changes.inserted.set(before, [...texts]);
  else known.push(...texts);
}

/** Applies the changes from the last line up, so that the indexes above stay what they are. */
function apply(document: Document, section: Section, { replaced, inserted }: LineChanges): Edited {
  let edited: Edited = { document, section };
  const indexes = [...new Set([...replaced.keys(), ...inserted.keys()])].sort((a, b) => b - a);
  for (const index of indexes) {
    if (replaced.has(index)) {
      const text = replaced.get(index);
      edited =
        text === undefined
          ? deleteLines(edited.document, edited.section, index, 1)
          : replaceLine(edited.document, edited.section, index, text);
    }
    const texts = inserted.get(index);
    if (texts !== undefined) edited = insertLines(edited.document, edited.section, index, texts);
  }
  return inserted.size > 0 && sameLines(section, edited.section) ? { document, section } : edited;
}

/** Whether what moved came back to where it was. */
function sameLines(one: Section, other: Section): boolean {
  if (one.length !== other.length) return false;
  const lines = other.lines[Symbol.iterator]();
  for (const line of one.lines) if (!line.bytes.equals(lines.next().value!.bytes)) return false;
  return true;
}

/** Writes another `from` into the header. Sections keep their names. */
function editHeader(
  edited: Edited,
  { codec, section: { keyword, name, from } }: SectionEdit,
  message: Fields,
  fields: ReadonlySet<DescField>,
): Edited {
  const role = codec.roles.from;
  if (role === undefined || !fields.has(role.field)) return edited;
  const next = slotOf(role.field).get(message) as string | undefined;
  if (next === from) return edited;
  const words = [keyword, ...(name === "" ? [] : [name]), ...(next === undefined ? [] : ["from", next])];
  const rewritten = rewriteLine(edited.section.lines.at(0)!, words);
  if (rewritten.ok) return replaceHeader(edited.document, edited.section, rewritten.line);
  const description = "cannot be written in the section's header";
  refuseViolations([{ kind: "value", field: role.field.name, description }]);
  return edited;
}

function withoutNewline(line: Line): Buffer {
  return line.bytes.subarray(0, line.bytes.length - line.newline.length);
}

function withoutIndentation(text: string | Buffer): string | Buffer {
  if (typeof text === "string") return text.trimStart();
  let at = 0;
  while (at < text.length && (text[at] === 32 || (text[at]! >= 9 && text[at]! <= 13))) at++;
  return text.subarray(at);
}
