/** A fenced block of a Markdown page. */
export interface Block {
  /** The word after the fence; empty when there is none. */
  readonly language: string;
  /** Without the fences, ends with a newline. */
  readonly text: string;
  /** The line of the page on which its text begins, from 1. */
  readonly line: number;
}

/** The fenced blocks of a page, in order. */
export function fencedBlocks(page: string): Block[] {
  return [...page.matchAll(/^```([^\n`]*)\n(.*?)^```$/gms)].map((match) => ({
    language: (match[1] ?? "").trim(),
    text: match[2] ?? "",
    line: page.slice(0, match.index).split("\n").length + 1,
  }));
}
