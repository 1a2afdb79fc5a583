import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { Role } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { checkLineSyntax } from "./check-syntax.ts";
import { compileDirective, type Directive, type LineValue } from "./directive.ts";
import { scalarTypeOf } from "./field.ts";
import { GrammarError } from "./grammar-error.ts";
import type { Order } from "./order.ts";
import type { Words } from "./phrase.ts";
import { creatorOf, type Fields } from "./slot.ts";
import {
  type Keyword,
  type LineSyntax,
  lineOf,
  type RemovedSyntax,
  removedOf,
  type SectionSyntax,
  sectionsOf,
} from "./syntax.ts";

/** Why a line is text to the grammar. */
export type TextReason =
  /** HAProxy cannot split it into words, or it holds bytes that are not UTF-8. */
  | { readonly kind: "unreadable" }
  /** No section of this kind has such a directive. */
  | { readonly kind: "unknown" }
  /** HAProxy had it once. */
  | { readonly kind: "removed"; readonly removed: RemovedSyntax }
  /** The directive is for other kinds of section; HAProxy ignores it here. */
  | { readonly kind: "elsewhere"; readonly directive: Directive }
  /** The directive is known, but not with these words. */
  | { readonly kind: "words"; readonly directive: Directive };

/** A directive's line as the grammar understands it. */
export interface TypedLine {
  readonly kind: "typed";
  readonly directive: Directive;
  /** A value of the field, or of its elements. */
  readonly value: LineValue;
  readonly keyword: FoundKeyword;
}

/** What a line says. */
export type LineReading = TypedLine | { readonly kind: "text"; readonly reason: TextReason };

/** Which directive a line begins with, and how it is spelled. */
export interface FoundKeyword {
  readonly directive: Directive;
  readonly spelling: Keyword;
  /** 1 when the line begins with `no`, else 0. */
  readonly start: number;
}

/** The grammar of a section message. */
export interface SectionCodec {
  readonly desc: DescMessage;
  /** The kinds of section that it describes, by keyword. */
  readonly kinds: ReadonlyMap<string, SectionSyntax>;
  /** Its directives, in the order of their declaration. */
  readonly directives: readonly Directive[];
  readonly removed: readonly RemovedSyntax[];
  /** The fields that are no directives. */
  readonly roles: SectionRoles;
  create(): Fields;
  /** The directive of a field; undefined for a field that is none. */
  directive(field: DescField): Directive | undefined;
  /** The directive that a line begins with. */
  find(words: Words): FoundKeyword | undefined;
  /** Reads a line. `kind` is the keyword of its section; the order of the line's parts is noted in `order`. */
  read(words: Words, kind: string, order?: Order): LineReading;
}

/** The fields of a section that are no directives. */
export interface SectionRoles {
  readonly name: LineSyntax | undefined;
  readonly from: LineSyntax | undefined;
  readonly unmodelled: LineSyntax | undefined;
}

/** Compiles a message that carries the option `section`. */
export function compileSection(desc: DescMessage): SectionCodec {
  const kinds = new Map<string, SectionSyntax>();
  for (const section of sectionsOf(desc)) {
    if (section.keyword === "") throw new GrammarError(desc, "a section needs a keyword");
    kinds.set(section.keyword, section);
  }
  const letters = [...kinds.values()].map(({ letter }) => letter).join("");
  if (letters.length !== (kinds.size > 1 ? kinds.size : 0))
    throw new GrammarError(
      desc,
      "a message with several kinds of section gives each a letter, one with a single kind none",
    );
  const syntaxes = desc.fields.map(lineOf);
  const directives = syntaxes.filter(({ role }) => role === Role.UNSPECIFIED).map(compileDirective);
  for (const { syntax } of directives) checkDirective(syntax, letters, desc);
  checkRoles(syntaxes);
  const table = tableOf(directives);
  const removed = removedOf(desc);
  const byField = new Map(directives.map((directive) => [directive.syntax.field, directive]));
  const find = (words: Words): FoundKeyword | undefined => {
    const start = words[0]?.value === "no" ? 1 : 0;
    for (const candidate of table.get(words[start]?.value ?? "") ?? NO_CANDIDATES)
      if (matches(candidate, words, start))
        return { directive: candidate.directive, spelling: candidate.spelling, start };
    return undefined;
  };
  return {
    desc,
    kinds,
    directives,
    removed,
    roles: {
      name: syntaxes.find(({ role }) => role === Role.NAME),
      from: syntaxes.find(({ role }) => role === Role.FROM),
      unmodelled: syntaxes.find(({ role }) => role === Role.UNMODELLED),
    },
    create: creatorOf(desc),
    directive: (field) => byField.get(field),
    find,
    read(words, kind, order) {
      const keyword = find(words);
      if (keyword === undefined) return text(reasonOf(words, removed));
      const { directive, start, spelling } = keyword;
      const { kinds: legal } = directive.syntax;
      if (legal !== "" && !legal.includes(kinds.get(kind)?.letter ?? ""))
        return text({ kind: "elsewhere", directive });
      const value = directive.read(words, start, spelling, order);
      return value === undefined
        ? text({ kind: "words", directive })
        : { kind: "typed", directive, value, keyword };
    },
  };
}

interface Candidate {
  readonly directive: Directive;
  readonly spelling: Keyword;
  /** The last word of the keyword may hold parentheses. */
  readonly head: boolean;
}

const NO_CANDIDATES: readonly Candidate[] = [];

/** The directives by the first word of their keyword, the longest keyword first. */
function tableOf(directives: readonly Directive[]): ReadonlyMap<string, readonly Candidate[]> {
  const table = new Map<string, Candidate[]>();
  const taken = new Map<string, Directive>();
  for (const directive of directives) {
    for (const spelling of directive.spellings) {
      const keyword = spelling.join(" ");
      const other = taken.get(keyword);
      if (other !== undefined)
        throw new GrammarError(
          directive.syntax.field,
          `keyword "${keyword}" is already taken by ${other.syntax.field}`,
        );
      taken.set(keyword, directive);
      const candidates = table.get(spelling[0]!);
      const candidate = { directive, spelling, head: directive.codec?.head !== undefined };
      if (candidate.head && spelling.length < 2)
        throw new GrammarError(directive.syntax.field, "parentheses are read behind keywords of two words");
      if (candidates === undefined) table.set(spelling[0]!, [candidate]);
      else candidates.push(candidate);
    }
  }
  for (const candidates of table.values()) candidates.sort((a, b) => b.spelling.length - a.spelling.length);
  return table;
}

function matches({ spelling, head }: Candidate, words: Words, start: number): boolean {
  if (words.length < start + spelling.length) return false;
  for (let i = 1; i < spelling.length; i++) {
    const { value } = words[start + i]!;
    if (value === spelling[i]) continue;
    if (!head || i < spelling.length - 1 || !value.startsWith(`${spelling[i]!}(`)) return false;
  }
  return true;
}

function reasonOf(words: Words, removed: readonly RemovedSyntax[]): TextReason {
  const start = words[0]?.value === "no" ? 1 : 0;
  const found = removed.find(({ keyword }) => keyword.every((word, i) => words[start + i]?.value === word));
  return found === undefined ? { kind: "unknown" } : { kind: "removed", removed: found };
}

function text(reason: TextReason): LineReading {
  return { kind: "text", reason };
}

/** What the fields that are no directives must be. */
function checkRoles(syntaxes: readonly LineSyntax[]): void {
  for (const { field, role } of syntaxes) {
    if (role === Role.UNSPECIFIED) continue;
    if (syntaxes.some((other) => other.role === role && other.field !== field))
      throw new GrammarError(field, "another field has its role");
    const lines = field.fieldKind === "list" && field.listKind === "message" ? field.message : undefined;
    if (
      role === Role.UNMODELLED ? lines?.field.text === undefined : scalarTypeOf(field) !== ScalarType.STRING
    )
      throw new GrammarError(field, "a name is a string; unmodelled lines are messages with a text");
  }
}

function checkDirective(syntax: LineSyntax, letters: string, desc: DescMessage): void {
  const { field, kinds } = syntax;
  checkLineSyntax(syntax);
  for (const letter of kinds)
    if (!letters.includes(letter))
      throw new GrammarError(field, `in: "${letter}" is not one of the letters "${letters}"`);
  for (const name of syntax.before)
    if (!desc.fields.some((other) => other.name === name))
      throw new GrammarError(field, `before: there is no field "${name}"`);
  if (syntax.defines === "") return;
  const named = field.fieldKind === "list" && field.listKind === "message" ? field.message : undefined;
  if (named?.fields.some(({ name }) => name === syntax.defines) !== true)
    throw new GrammarError(field, `defines: its message has no field "${syntax.defines}"`);
}
