import type { DescEnumValue, DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import {
  choice,
  line,
  type Naming,
  Role,
  removed,
  section,
  spelling,
  type Type,
  type Validity,
  valid,
  word,
} from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { GrammarError } from "./grammar-error.ts";
import { optionOf, optionsOf } from "./option.ts";
import { parseBranch, printBranch, reaches, type Span, type Version } from "./version.ts";

/** The words of a keyword, such as `["timeout", "client"]`. */
export type Keyword = readonly string[];

/** What the option of a field says, whether the field is a directive or a part of a line. */
export interface FieldSyntax {
  readonly field: DescField;
  readonly keyword: Keyword;
  readonly aliases: readonly Keyword[];
  /** The word or words of an optional bool that is false. */
  readonly no: Keyword | undefined;
  readonly type: Type;
  readonly separator: string;
  readonly rest: boolean;
  readonly refers: string;
  /** First branch in which a change needs no reload. */
  readonly runtime: Version | undefined;
  readonly sample: string;
  /** Fields that the field's message does not have here, by name. */
  readonly without: readonly string[];
  readonly span: Span;
  /** The value is never shown. */
  readonly secret: boolean;
}

/** A directive: the field of a section. */
export interface LineSyntax extends FieldSyntax {
  /** Letters of the kinds of section that have it; empty: all. */
  readonly kinds: string;
  readonly negatable: boolean;
  /** Name of the hand-written form, or empty. */
  readonly form: string;
  readonly child: boolean;
  readonly role: Role;
  readonly before: readonly string[];
  readonly defines: string;
}

/** Where the words of a field stand in a line. */
export type Place =
  | "keyword"
  | "positional"
  | "parenthesised"
  | "glued"
  | "suffix"
  | "prefixNo"
  | "unmodelled";

/** A part of a line. */
export interface WordSyntax extends FieldSyntax {
  readonly place: Place;
  /** What joins a suffix to the value before it. */
  readonly suffix: string;
  /** Its place among others of this kind means something. */
  readonly ordered: boolean;
  /** The keyword of the flag may be joined to the word behind it. */
  readonly joins: boolean;
}

/** A kind of section. */
export interface SectionSyntax {
  readonly keyword: string;
  /** The letter that stands for it in `Line.in`; empty for a message with one kind. */
  readonly letter: string;
  readonly naming: Naming;
  readonly from: boolean;
  readonly span: Span;
}

/** A directive that HAProxy no longer has. */
export interface RemovedSyntax {
  readonly keyword: Keyword;
  readonly until: Version;
  readonly instead: string;
}

/** The kinds of section that a message describes; empty for a line message. */
export function sectionsOf(desc: DescMessage): readonly SectionSyntax[] {
  return optionsOf(desc, section).map((option) => ({
    keyword: option.keyword,
    letter: option.letter,
    naming: option.naming,
    from: option.from,
    span: spanOf(desc, option),
  }));
}

/** The directives that a section had once. */
export function removedOf(desc: DescMessage): readonly RemovedSyntax[] {
  return optionsOf(desc, removed).map((option) => ({
    keyword: wordsOf(desc, option.keyword),
    until: branchOf(desc, "until", option.until)!,
    instead: option.instead,
  }));
}

/** The syntax of a section's field. */
export function lineOf(field: DescField): LineSyntax {
  if (optionOf(field, word) !== undefined)
    throw new GrammarError(field, "a field of a section takes the option line, not word");
  const option = optionOf(field, line);
  const no = option?.no ?? "";
  return {
    ...common(field, option),
    no: no === "" ? undefined : wordsOf(field, no),
    kinds: option?.in ?? "",
    negatable: option?.negatable ?? false,
    form: option?.form ?? "",
    child: option?.child ?? false,
    role: option?.role ?? Role.UNSPECIFIED,
    before: option?.before ?? [],
    defines: option?.defines ?? "",
  };
}

/** The syntax of a line's field. Messages are shared by many lines, so it is kept. */
export function wordOf(field: DescField): WordSyntax {
  let syntax = WORDS.get(field);
  if (syntax === undefined) {
    syntax = readWord(field);
    WORDS.set(field, syntax);
  }
  return syntax;
}

const WORDS = new WeakMap<DescField, WordSyntax>();

function readWord(field: DescField): WordSyntax {
  if (optionOf(field, line) !== undefined)
    throw new GrammarError(field, "a field of a line takes the option word, not line");
  const option = optionOf(field, word);
  const no = option?.no ?? "";
  return {
    ...common(field, option),
    no: no === "" ? undefined : wordsOf(field, no),
    place: option?.place.case ?? "keyword",
    suffix: option?.place.case === "suffix" ? option.place.value : "",
    ordered: option?.ordered ?? false,
    joins: option?.joins ?? false,
  };
}

/** True when none of the members of a oneof needs to be there. */
export function isOptionalChoice(oneof: DescOneof): boolean {
  return optionOf(oneof, choice)?.optional ?? false;
}

/** How an enum value is written, and which versions have it. */
export function spellingOf(value: DescEnumValue): { readonly word: string; readonly span: Span } {
  const option = optionOf(value, spelling);
  return {
    word: option === undefined || option.word === "" ? defaultSpelling(value) : option.word,
    span: spanOf(value, option),
  };
}

/** What a value must be in a write. */
export function validityOf(field: DescField): Validity | undefined {
  return optionOf(field, valid);
}

function common(
  field: DescField,
  option:
    | {
        readonly keyword: string;
        readonly aliases: readonly string[];
        readonly type: Type;
        readonly separator: string;
        readonly rest: boolean;
        readonly refers: string;
        readonly runtime: string;
        readonly sample: string;
        readonly without: readonly string[];
        readonly since: string;
        readonly until: string;
      }
    | undefined,
): Omit<FieldSyntax, "no"> {
  const keyword = option?.keyword ?? "";
  return {
    field,
    keyword: keyword === "" ? [field.name.replaceAll("_", "-")] : wordsOf(field, keyword),
    aliases: option?.aliases.map((alias) => wordsOf(field, alias)) ?? [],
    type: option?.type ?? 0,
    separator: option?.separator ?? "",
    rest: option?.rest ?? false,
    refers: option?.refers ?? "",
    runtime: branchOf(field, "runtime", option?.runtime ?? ""),
    sample: option?.sample ?? "",
    without: option?.without ?? [],
    span: spanOf(field, option),
    secret: field.proto.options?.debugRedact === true,
  };
}

function wordsOf(element: { toString(): string }, keyword: string): Keyword {
  const words = keyword.split(" ");
  if (words.includes("")) throw new GrammarError(element, `keyword "${keyword}" has an empty word`);
  return words;
}

function spanOf(
  element: { toString(): string },
  option: { readonly since: string; readonly until: string } | undefined,
): Span {
  const since = branchOf(element, "since", option?.since ?? "");
  const until = branchOf(element, "until", option?.until ?? "");
  if (since !== undefined && until !== undefined && reaches(since, until))
    throw new GrammarError(
      element,
      `until ${printBranch(until)} does not come after since ${printBranch(since)}`,
    );
  return since === undefined && until === undefined ? ALWAYS : { since, until };
}

const ALWAYS: Span = { since: undefined, until: undefined };

function branchOf(element: { toString(): string }, option: string, text: string): Version | undefined {
  if (text === "") return undefined;
  const branch = parseBranch(text);
  if (branch === undefined)
    throw new GrammarError(element, `${option} "${text}" is no version such as "2.8"`);
  return branch;
}

/** The name without the prefix of its enum: `ON_ERROR_MARK_DOWN` is `mark-down`. */
function defaultSpelling(value: DescEnumValue): string {
  const prefix = `${value.parent.name.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, "_").toUpperCase()}_`;
  const name = value.name.startsWith(prefix) ? value.name.slice(prefix.length) : value.name;
  return name.toLowerCase().replaceAll("_", "-");
}
