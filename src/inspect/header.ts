import { Naming } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import type { SectionCodec } from "../grammar/section-codec.ts";
import { quoteWords } from "../text/quote.ts";
import type { Section } from "../text/section.ts";

/** The header printed from name and `from`; undefined when it says anything else. */
export function printHeader(codec: SectionCodec, section: Section): string | undefined {
  const syntax = codec.kinds.get(section.keyword);
  const line = section.lines.at(0);
  if (syntax === undefined || line === undefined || line.error !== undefined) return undefined;
  const words = [section.keyword];
  if (syntax.naming !== Naming.UNSPECIFIED && section.name !== "") words.push(section.name);
  if (syntax.from && section.from !== undefined) words.push("from", section.from);
  const said = line.words;
  if (said.length !== words.length || said.some(({ value, utf8 }, i) => !utf8 || value !== words[i]))
    return undefined;
  const quoted = quoteWords(words);
  return quoted.ok ? quoted.text : undefined;
}
