import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { Type } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { enumOf, hasPresence, isBool, messageOf, scalarTypeOf } from "../../src/grammar/field.ts";
import type { Grammar } from "../../src/grammar/grammar.ts";
import { enumWords } from "../../src/grammar/scalar.ts";
import type { SectionCodec } from "../../src/grammar/section-codec.ts";
import { type FieldSyntax, spellingOf, type WordSyntax, wordOf } from "../../src/grammar/syntax.ts";
import { printBranch, type Span } from "../../src/grammar/version.ts";

/** One keyword of the language, and the field that stands for it. */
export interface Entry {
  /** Where the keyword stands: the kinds of section, or the message whose part it is. */
  readonly where: string;
  readonly keyword: string;
  /** `Message.field`. */
  readonly field: string;
  /** How the value is written. */
  readonly form: string;
  readonly span: Span;
}

/** The directives of all sections, in the order of their declaration. */
export function directives(grammar: Grammar): Entry[] {
  return grammar.sections.flatMap((codec) =>
    codec.directives.map(({ syntax, spellings }) => ({
      where: kindsOf(codec, syntax.kinds).join(" "),
      keyword: spellings.map((words) => words.join(" ")).join(" | "),
      field: `${codec.desc.name}.${syntax.field.name}`,
      form: syntax.form === "" ? formOf(syntax, syntax.negatable) : `form ${syntax.form}`,
      span: syntax.span,
    })),
  );
}

/** The parts of lines, message by message. */
export function parts(grammar: Grammar): Entry[] {
  return [...lineMessages(grammar)].flatMap((desc) => desc.fields.map((field) => partOf(desc, field)));
}

/** The messages that lines are made of, each once, in the order in which they are met. */
export function lineMessages(grammar: Grammar): Set<DescMessage> {
  const found = new Set<DescMessage>();
  const visit = (desc: DescMessage) => {
    if (found.has(desc)) return;
    found.add(desc);
    for (const field of desc.fields) {
      const inner = messageOf(field);
      if (inner !== undefined) visit(inner);
    }
  };
  for (const { directives } of grammar.sections)
    for (const { syntax } of directives) {
      const message = messageOf(syntax.field);
      if (message !== undefined) visit(message);
    }
  return found;
}

/** The words that a part of a line is known by: its keyword in all spellings; empty for what has no keyword. */
export function keywordsOf(syntax: WordSyntax): string[] {
  if (syntax.place !== "keyword" || syntax.type === Type.CONDITION) return [];
  return [syntax.keyword, ...syntax.aliases, ...(syntax.no === undefined ? [] : [syntax.no])].map((words) =>
    words.join(" "),
  );
}

/** Versions as text, such as "2.8" or "until 3.3"; empty for what is in all of them. */
export function spanText({ since, until }: Span): string {
  return [
    since === undefined ? "" : `${printBranch(since)}`,
    until === undefined ? "" : `until ${printBranch(until)}`,
  ]
    .filter((text) => text !== "")
    .join(" ");
}

function partOf(desc: DescMessage, field: DescField): Entry {
  const syntax = wordOf(field);
  const keywords = keywordsOf(syntax);
  return {
    where: desc.name,
    keyword: keywords.length > 0 ? keywords.join(" | ") : PLACES[syntax.place],
    field: `${desc.name}.${field.name}`,
    form: formOf(syntax, false),
    span: syntax.span,
  };
}

const PLACES: Readonly<Record<WordSyntax["place"], string>> = {
  keyword: "if | unless",
  positional: "<value>",
  parenthesised: "(<value>)",
  glued: "…<value>",
  suffix: "<value>…",
  prefixNo: "no",
  unmodelled: "<other words>",
};

function formOf(syntax: FieldSyntax, negatable: boolean): string {
  const { field, type, separator, rest } = syntax;
  const message = messageOf(field);
  const shape = message === undefined ? valueForm(syntax, negatable) : message.name;
  if (field.fieldKind !== "list") return shape;
  if (separator !== "") return `${shape}[${separator}]`;
  return rest || type === Type.TEXT ? `${shape}…` : `${shape}*`;
}

function valueForm({ field, type, no }: FieldSyntax, negatable: boolean): string {
  const enumeration = enumOf(field);
  if (enumeration !== undefined) {
    const spans = new Map(
      enumeration.values.map((value) => [value.number, spanText(spellingOf(value).span)]),
    );
    return [...enumWords(enumeration)]
      .map(([number, word]) => (spans.get(number) ? `${word} (${spans.get(number)})` : word))
      .join(", ");
  }
  if (type !== Type.UNSPECIFIED) return Type[type].toLowerCase().replaceAll("_", " ");
  if (!isBool(field)) return scalarTypeOf(field) === ScalarType.STRING ? "word" : "number";
  return negatable || no !== undefined || hasPresence(field) ? "flag, no flag" : "flag";
}

/** The keywords of the kinds of section that a directive is legal in. */
function kindsOf(codec: SectionCodec, letters: string): string[] {
  return [...codec.kinds.values()]
    .filter(({ letter }) => letters === "" || letters.includes(letter))
    .map(({ keyword }) => keyword);
}
