import { Naming } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { quoteWords } from "../text/quote.ts";
import type { StructureReader } from "../text/structure.ts";
import { checkSection, isAbsent, refuseViolations, type Target, type Violation } from "./check.ts";
import { printLine } from "./line-text.ts";
import type { SectionCodec } from "./section-codec.ts";
import { type Fields, slotOf } from "./slot.ts";
import { checkUnmodelled } from "./unmodelled.ts";

/** A section as text, ready to be put into a document. */
export interface SectionText {
  readonly header: string;
  /** The lines below, without indentation. */
  readonly lines: readonly string[];
}

/**
 * Prints a message as a new section, children included, in the order of the declaration.
 *
 * Throws FIELD_INVALID for values that cannot be written, NOT_SUPPORTED for what the running HAProxy does not have; each violation names
 * the field.
 */
export function printSection(
  codec: SectionCodec,
  message: Fields,
  target: Target,
  structure: StructureReader,
): SectionText {
  const violations: Violation[] = [...checkSection(codec, message, target)];
  refuseViolations(violations);
  const lines: string[] = [];
  for (const directive of codec.directives) {
    const { field } = directive.syntax;
    const value = slotOf(field).get(message);
    if (isAbsent(directive, value)) continue;
    const values = directive.repeated ? (value as unknown[]) : [value];
    for (const [i, element] of values.entries()) {
      const text = printLine(directive, element, directive.repeated ? `${field.name}[${i}]` : field.name);
      if (text.ok) lines.push(String(text.text));
      else violations.push(text.violation);
    }
  }
  const header = printHeader(codec, message, target.kind, violations);
  const { unmodelled } = codec.roles;
  if (unmodelled !== undefined) {
    const texts = slotOf(unmodelled.field).get(message) as Fields[];
    violations.push(...checkUnmodelled(unmodelled.field, texts, structure));
    lines.push(...texts.map(({ text }) => String(text)));
  }
  refuseViolations(violations);
  return { header, lines };
}

function printHeader(codec: SectionCodec, message: Fields, kind: string, violations: Violation[]): string {
  const { name, from } = codec.roles;
  const syntax = codec.kinds.get(kind);
  const words = [kind];
  const given = name === undefined ? "" : String(slotOf(name.field).get(message) ?? "");
  if (given !== "") words.push(given);
  else if (syntax?.naming === Naming.REQUIRED)
    violations.push({ kind: "value", field: name?.field.name ?? "", description: "must be set" });
  const inherits = from === undefined ? undefined : slotOf(from.field).get(message);
  if (typeof inherits === "string" && syntax?.from === true) words.push("from", inherits);
  const quoted = quoteWords(words);
  if (quoted.ok) return quoted.text;
  violations.push({
    kind: "value",
    field: name?.field.name ?? "",
    description: "cannot be written as a word",
  });
  return "";
}
