import { printLine } from "../grammar/line-text.ts";
import { isAsDeclared, Order } from "../grammar/order.ts";
import { describeReason, HIDDEN, readLineOf } from "../grammar/read-section.ts";
import { holdsSecret } from "../grammar/secrets.ts";
import type { LineReading, SectionCodec, TypedLine } from "../grammar/section-codec.ts";
import type { Line } from "../text/line.ts";
import type { WordError, WordErrorKind } from "../text/word.ts";
import { countWords, type WordCount } from "./count-words.ts";

/** What the grammar makes of a directive's line. */
export type Understood =
  | {
      readonly kind: "typed";
      /** Prints the line from its message alone: no indentation, no comment. Undefined when that would not say the same. */
      readonly print: () => string | Buffer | undefined;
      readonly count: WordCount;
      /** HAProxy ignores the directive in this kind of section. */
      readonly ignored: boolean;
    }
  | { readonly kind: "text"; readonly words: readonly string[]; readonly why: string };

/**
 * Reads a line that is no header and does not shape the file. A line counts as typed when its message gives back the same words.
 */
export function understand(codec: SectionCodec, kind: string, line: Line): Understood {
  if (line.error !== undefined) return untyped(codec, line, describeWordError(line.error));
  const order = new Order();
  const legal = readLineOf(codec, kind, line, order);
  const reading =
    legal.kind === "text" && legal.reason.kind === "elsewhere" ? readElsewhere(codec, line, order) : legal;
  if (reading.kind === "text") return untyped(codec, line, describeReason(reading.reason));
  const { directive, value } = reading;
  if (!givesSameWords(reading, line, order))
    return untyped(codec, line, "its message does not give back the same words");
  const print = () => {
    const printed = isAsDeclared(order) ? printLine(directive, value, "the line") : undefined;
    return printed?.ok ? printed.text : undefined;
  };
  const count = countWords(directive, value, line.words.length);
  return { kind: "typed", print, count, ignored: reading !== legal };
}

/** Reads a line whatever section it is legal in. */
function readElsewhere(codec: SectionCodec, { words }: Line, order: Order): LineReading {
  const keyword = codec.find(words)!;
  const { directive, start, spelling } = keyword;
  const value = directive.read(words, start, spelling, order);
  return value === undefined
    ? { kind: "text", reason: { kind: "words", directive } }
    : { kind: "typed", directive, value, keyword };
}

/** Why HAProxy cannot split a line into words. */
export function describeWordError({ kind, offset }: WordError): string {
  return `HAProxy cannot read the line: ${WORD_ERRORS[kind]} at byte ${offset + 1}`;
}

const WORD_ERRORS: Readonly<Record<WordErrorKind, string>> = {
  quote: "a quote without its end",
  brace: "a variable without its closing brace",
  variable: "no name of a variable",
  hex: "\\x without two hexadecimal digits",
  expansion: "a malformed [*]",
  words: "one word too many",
  nul: "a NUL",
};

/** A line that is text, with the reason. What may be a secret is not shown. */
function untyped(codec: SectionCodec, line: Line, why: string): Understood {
  const directive = codec.find(line.words)?.directive;
  const words =
    directive !== undefined && holdsSecret(directive)
      ? [...directive.syntax.keyword, HIDDEN]
      : line.words.map((word) => word.value);
  return { kind: "text", words, why };
}

function givesSameWords({ directive, value, keyword }: TypedLine, { words }: Line, order: Order): boolean {
  const written = directive.write(value, { spelling: keyword.spelling, order });
  if (written.length !== words.length) return false;
  for (let i = 0; i < written.length; i++) if (written[i] !== words[i]!.value) return false;
  return true;
}
