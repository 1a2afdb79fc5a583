import type { DescField } from "@bufbuild/protobuf";
import { checkLine } from "../text/check-line.ts";
import { ownEnd } from "../text/extent.ts";
import type { Section } from "../text/section.ts";
import type { StructureReader } from "../text/structure.ts";
import type { Violation } from "./check.ts";
import { messageOf } from "./field.ts";
import { diffLists } from "./list-diff.ts";
import { describeReason, HIDDEN, type SectionReading, shownText } from "./read-section.ts";
import type { SectionCodec } from "./section-codec.ts";
import type { SectionEdit } from "./section-edit.ts";
import { creatorOf, type Fields } from "./slot.ts";

/** The lines that no field stands for, as elements of the field for them: text, reason and place. */
export function unmodelledLines(codec: SectionCodec, section: Section, reading: SectionReading): Fields[] {
  const desc = codec.roles.unmodelled === undefined ? undefined : messageOf(codec.roles.unmodelled.field);
  if (desc === undefined) return [];
  const create = creatorOf(desc);
  return reading.unmodelled.map(({ index, reason, directive }) =>
    Object.assign(create(), {
      text: shownText(codec, section.lines.at(index)!, directive),
      reason: describeReason(reason),
      line: index + 1,
    }),
  );
}

/**
 * Changes the lines that no field stands for, as text. They keep their places; new ones go behind the one before them in the list, else
 * before the first that stays.
 */
export function editUnmodelled(edit: SectionEdit, value: unknown, structure: StructureReader): void {
  const { codec, section, reading, changes, violations } = edit;
  const field = codec.roles.unmodelled!.field;
  const old = unmodelledLines(codec, section, reading).map(textOf);
  const next = (value as Fields[]).map(textOf);
  if (old.length === next.length && old.every((text, i) => text === next[i])) return;
  const steps = diffLists(old.map(element), next.map(element));
  const gone = new Set(old.keys());
  const first = steps.find(({ kind }) => kind === "keep" || kind === "change");
  const top =
    first === undefined || first.kind === "add" ? ownEnd(section) : reading.unmodelled[first.old]!.index;
  let behind: number | undefined;
  steps.forEach((step, i) => {
    const text = next[i]!;
    if (step.kind !== "add") gone.delete(step.old);
    if (step.kind === "keep") {
      behind = reading.unmodelled[step.old]!.index;
      return;
    }
    const problem = problemOf(text, structure);
    if (problem !== undefined) {
      violations.push(violationOf(field, i, problem));
      return;
    }
    if (step.kind === "change") {
      const { index } = reading.unmodelled[step.old]!;
      changes.replaced.set(index, `${section.lines.at(index)!.indentation}${text}`);
      behind = index;
      return;
    }
    if (step.kind === "move") changes.replaced.set(reading.unmodelled[step.old]!.index, undefined);
    const before = behind === undefined ? top : behind + 1;
    changes.inserted.set(before, [...(changes.inserted.get(before) ?? []), text]);
  });
  for (const index of gone) changes.replaced.set(reading.unmodelled[index]!.index, undefined);
}

/** Why the texts of such lines cannot stand in a section, each with its path. */
export function checkUnmodelled(
  field: DescField,
  lines: readonly Fields[],
  structure: StructureReader,
): Violation[] {
  return lines.flatMap((line, i) => {
    const description = problemOf(textOf(line), structure);
    return description === undefined ? [] : [violationOf(field, i, description)];
  });
}

function violationOf(field: DescField, i: number, description: string): Violation {
  return { kind: "value", field: `${field.name}[${i}].text`, description };
}

/** Why a text cannot be one line of a section. */
function problemOf(text: string, structure: StructureReader): string | undefined {
  if (text.trim() === "") return "must not be empty";
  if (text.includes(HIDDEN))
    return `holds "${HIDDEN}", which stands for hidden text: write the line as a whole`;
  const refusal = checkLine(Buffer.from(text), structure);
  if (refusal === undefined) return undefined;
  return refusal.kind === "break"
    ? "must be one line"
    : `must be a line that HAProxy can read inside a section (${refusal.kind})`;
}

function textOf(line: Fields): string {
  return String(line.text);
}

function element(key: string) {
  return { key, identity: undefined, sort: undefined };
}
