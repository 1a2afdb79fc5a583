import type { Document } from "../text/document.ts";
import type { Section } from "../text/section.ts";
import { directiveReader } from "./section-lines.ts";

/** Longest chain of `defaults … from …` that is followed; HAProxy refuses a circle, a document may still hold one. */
const MAX_CHAIN = 32;

const defaultServerLines = directiveReader("default-server");

const INHERITED = {
  balance: directiveReader("balance"),
  "hash-type": directiveReader("hash-type"),
  mode: directiveReader("mode"),
};

/** Keywords that a proxy inherits from its defaults, as far as they decide what HAProxy takes at runtime. */
export type InheritedKeyword = keyof typeof INHERITED;

/**
 * The sections that a proxy inherits from, the nearest first: the `defaults` named behind `from`, else the last one above it, and what that one names in turn
 * (configuration manual, section 4).
 */
function defaultsOf(document: Document, section: Section): Section[] {
  const chain: Section[] = [];
  let next =
    section.from === undefined ? lastAbove(document, section) : document.find("defaults", section.from)[0];
  while (next !== undefined && chain.length < MAX_CHAIN) {
    chain.push(next);
    next = next.from === undefined ? undefined : document.find("defaults", next.from)[0];
  }
  return chain;
}

/** The words of the `default-server` lines that hold for a server at the end of a section, in the order in which HAProxy takes them. */
export function defaultServerWords(document: Document, section: Section): string[] {
  return [...defaultsOf(document, section).reverse(), section].flatMap((from) =>
    defaultServerLines(from).flat(),
  );
}

/** The words of the `balance` line that holds for a section; `["roundrobin"]`, HAProxy's default, when there is none. */
export function balanceOf(document: Document, section: Section): readonly string[] {
  const words = directiveOf(document, section, "balance");
  return words.length === 0 ? ["roundrobin"] : words;
}

/** The words behind the last line of a keyword that holds for a section, its own or inherited; empty when there is none. */
export function directiveOf(
  document: Document,
  section: Section,
  keyword: InheritedKeyword,
): readonly string[] {
  for (const from of [section, ...defaultsOf(document, section)]) {
    const last = INHERITED[keyword](from).at(-1);
    if (last !== undefined) return last;
  }
  return [];
}

/** The last `defaults` section above another section. */
export function lastAbove(document: Document, section: Section): Section | undefined {
  const own = document.positionOf(section);
  return document.list("defaults").findLast((candidate) => {
    const { part, line } = document.positionOf(candidate);
    return part < own.part || (part === own.part && line < own.line);
  });
}
