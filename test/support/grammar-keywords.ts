import type { DescMessage } from "@bufbuild/protobuf";
import { keywordsOf, lineMessages } from "../../scripts/language/catalogue.ts";
import type { Grammar } from "../../src/grammar/grammar.ts";
import { type WordSyntax, wordOf } from "../../src/grammar/syntax.ts";
import type { Span } from "../../src/grammar/version.ts";

/** Looks keywords up in the grammar. */
export class Keywords {
  readonly #grammar: Grammar;
  readonly #messages: ReadonlyMap<string, DescMessage>;

  constructor(grammar: Grammar) {
    this.#grammar = grammar;
    this.#messages = new Map([...lineMessages(grammar)].map((desc) => [desc.name, desc]));
  }

  /** The versions of a directive of a section; undefined when there is none. */
  directive(section: string, keyword: string): Span | undefined {
    const codec = this.#grammar.section(section);
    const found = codec?.find(keyword.split(" ").map((value) => ({ value })));
    if (codec === undefined || found === undefined) return undefined;
    const { syntax, codec: line } = found.directive;
    const letter = codec.kinds.get(section)!.letter;
    if (syntax.kinds !== "" && !syntax.kinds.includes(letter)) return undefined;
    const rest = keyword
      .split(" ")
      .slice(found.start + found.spelling.length)
      .join(" ");
    const span = joined(codec.kinds.get(section)!.span, syntax.span);
    if (rest === "") return span;
    const part = line === undefined ? undefined : this.part(line.desc.name, rest);
    return part === undefined ? undefined : joined(span, part);
  }

  /** The versions of a keyword in a message; undefined when there is none. */
  part(message: string, keyword: string): Span | undefined {
    const desc = this.#messages.get(message);
    if (desc === undefined) throw new Error(`there is no line message ${message}`);
    return desc.fields.map(wordOf).find((syntax) => this.#isKnownAs(syntax, keyword))?.span;
  }

  #isKnownAs(syntax: WordSyntax, keyword: string): boolean {
    return keywordsOf(syntax).includes(keyword);
  }
}

function joined(outer: Span, inner: Span): Span {
  return { since: inner.since ?? outer.since, until: inner.until ?? outer.until };
}
