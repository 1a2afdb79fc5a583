import { quoteWords } from "../text/quote.ts";
import { lexWords } from "../text/words.ts";

/** What the codecs read: the words of a line, of which only the values matter to them. */
export type Words = readonly { readonly value: string }[];

/** Nothing that would be quoted. */
const PLAIN = /^[!%&(-[\]-~]+$/;

/**
 * Several words as one text, quoted as in a file. Undefined when they cannot be written: an empty word with others behind it ends
 * the line for HAProxy's parsers.
 */
export function joinPhrase(words: Words, from: number, to: number): string | undefined {
  let text = "";
  for (let i = from; i < to; i++) {
    const { value } = words[i]!;
    if (!PLAIN.test(value)) return quotePhrase(words, from, to);
    text = i === from ? value : `${text} ${value}`;
  }
  return text === "" ? undefined : text;
}

function quotePhrase(words: Words, from: number, to: number): string | undefined {
  const values = words.slice(from, to).map((word) => word.value);
  if (values.includes("")) return undefined;
  const quoted = quoteWords(values, { control: "escape" });
  return quoted.ok ? quoted.text : undefined;
}

/** The words of a text that is written as in a file. Undefined when it is not one or more words that HAProxy can read. */
export function splitPhrase(text: string): string[] | undefined {
  if (/[\n\r\0]/.test(text) || !text.isWellFormed()) return undefined;
  const bytes = Buffer.from(text);
  const { words, comment, error } = lexWords(bytes, 0, bytes.length);
  if (error !== undefined || comment >= 0 || words.length === 0) return undefined;
  const values = words.map((word) => word.value);
  return values.includes("") ? undefined : values;
}
