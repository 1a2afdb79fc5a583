import type { Line } from "../text/line.ts";
import { type QuoteOptions, type QuoteRefusal, quoteWords } from "../text/quote.ts";
import { rewriteLine } from "../text/rewrite.ts";
import type { Violation } from "./check.ts";
import type { Directive, LineValue } from "./directive.ts";
import { Order } from "./order.ts";
import { firstDifference } from "./same.ts";
import { holdsSecret } from "./secrets.ts";
import type { FoundKeyword } from "./section-codec.ts";

/** A line as text, or why the value cannot be written. */
export type LineText =
  | { readonly ok: true; readonly text: string | Buffer }
  | { readonly ok: false; readonly violation: Violation };

/** What is sent as it is may hold control characters; whether a field may is for the checks. */
const ESCAPE: QuoteOptions = { control: "escape" };

/** Writes the value of one line anew, without indentation. `path` names the value in a refusal. */
export function printLine(directive: Directive, value: LineValue, path: string): LineText {
  const words = directive.write(value, undefined);
  const problem = rereadProblem(directive, value, words, path);
  if (problem !== undefined) return { ok: false, violation: problem };
  const quoted = quoteWords(words, ESCAPE);
  return quoted.ok ? quoted : refused(path, quoteProblem(quoted.refusal));
}

/**
 * Writes another value in place of a line: words that stay keep their bytes, their order and the blanks around them, and the comment
 * stays. The line comes with its indentation.
 */
export function rewriteValue(
  directive: Directive,
  line: Line,
  keyword: FoundKeyword,
  value: LineValue,
  path: string,
): LineText {
  const words = wordsInOrder(directive, line, keyword, value);
  const problem = rereadProblem(directive, value, words, path);
  if (problem !== undefined) return { ok: false, violation: problem };
  const rewritten = rewriteLine(line, words, ESCAPE);
  return rewritten.ok ? { ok: true, text: rewritten.line } : refused(path, quoteProblem(rewritten.refusal));
}

/** The words of a value in the order and spelling that a line has them. */
export function wordsInOrder(
  directive: Directive,
  line: Line,
  { spelling, start }: FoundKeyword,
  value: LineValue,
): string[] {
  const order = new Order();
  directive.read(line.words, start, spelling, order);
  return directive.write(value, { spelling, order });
}

/** What is read back must be what was to be written; anything else would be a change that nobody asked for. */
function rereadProblem(
  directive: Directive,
  value: LineValue,
  words: readonly string[],
  path: string,
): Violation | undefined {
  const start = words[0] === "no" ? 1 : 0;
  const spelling = directive.spellings.find((candidate) =>
    candidate.every(
      (word, i) =>
        words[start + i] === word ||
        (directive.codec?.head !== undefined && words[start + i]?.startsWith(`${word}(`)),
    ),
  );
  const line = words.map((word) => ({ value: word }));
  const read = spelling === undefined ? undefined : directive.read(line, start, spelling);
  if (read === undefined) {
    const shown = holdsSecret(directive) ? directive.syntax.keyword.join(" ") : words.join(" ");
    return { kind: "value", field: path, description: `HAProxy would not read "${shown}" as this` };
  }
  const different = firstDifference(directive, value, read);
  if (different === undefined) return undefined;
  const field = `${path}${different.path}`;
  const { found } = different;
  const plain = typeof found === "string" || typeof found === "number";
  const shown = plain && !different.syntax.secret ? `"${found}"` : "something else";
  return {
    kind: "value",
    field,
    description: `would be read back as ${found === undefined ? "unset" : shown}`,
  };
}

function refused(field: string, description: string): LineText {
  return { ok: false, violation: { kind: "value", field, description } };
}

function quoteProblem({ kind, word }: QuoteRefusal): string {
  return PROBLEMS[kind] ?? `has a word (${word}) that cannot be written`;
}

const PROBLEMS: Readonly<Record<string, string>> = {
  words: "has more words than HAProxy reads in a line",
  empty: "has an empty word, which would end the line for HAProxy",
  reference: 'has a "${" that refers to nothing; one that stands for itself is written "$${"',
  nul: "holds a NUL character",
  surrogate: "is no valid Unicode",
};
