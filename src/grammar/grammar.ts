import type { DescFile, DescMessage } from "@bufbuild/protobuf";
import { GrammarError } from "./grammar-error.ts";
import { compileSection, type SectionCodec } from "./section-codec.ts";
import { sectionsOf } from "./syntax.ts";

/** The compiled grammar of one language, such as that of haproxy.cfg. */
export interface Grammar {
  /** The codecs of all section messages, in the order of their files. */
  readonly sections: readonly SectionCodec[];
  /** The codec of the sections that a keyword begins. */
  section(keyword: string): SectionCodec | undefined;
  /** The codec of a section message. */
  of(desc: DescMessage): SectionCodec;
}

/**
 * Compiles every section message of the files. It is done once, at start: what is wrong with an annotation is thrown as a
 * {@link GrammarError} that names the field.
 */
export function compileGrammar(files: readonly DescFile[]): Grammar {
  const sections: SectionCodec[] = [];
  const byKeyword = new Map<string, SectionCodec>();
  const byMessage = new Map<DescMessage, SectionCodec>();
  for (const desc of files.flatMap(({ messages }) => messages)) {
    if (sectionsOf(desc).length === 0) continue;
    const codec = compileSection(desc);
    sections.push(codec);
    byMessage.set(desc, codec);
    for (const keyword of codec.kinds.keys()) {
      const other = byKeyword.get(keyword);
      if (other !== undefined)
        throw new GrammarError(desc, `section "${keyword}" is already taken by ${other.desc}`);
      byKeyword.set(keyword, codec);
    }
  }
  return {
    sections,
    section: (keyword) => byKeyword.get(keyword),
    of(desc) {
      const codec = byMessage.get(desc);
      if (codec === undefined) throw new RangeError(`${desc} is no section of this grammar`);
      return codec;
    },
  };
}
