import { keyOf, nextId } from "./keys.ts";
import { Lines } from "./lines.ts";
import type { Source } from "./source.ts";
import type { StructureKind } from "./structure.ts";
import type { LineWords } from "./words.ts";

/** A line inside a section that shapes the file: part of a conditional block, a scope line, a message. */
export interface Mark {
  /** Index of the line in its section. */
  readonly index: number;
  readonly kind: Exclude<StructureKind, "section">;
}

/** What the header line of a section says. */
export interface SectionHeader {
  /** The section keyword, such as `backend`; empty for the lines of a file before its first section. */
  readonly keyword: string;
  /** The second word, or empty. */
  readonly name: string;
  /** The `defaults` section named behind `from`. */
  readonly from: string | undefined;
}

/** The header of the lines before the first section. */
export const PREAMBLE: SectionHeader = { keyword: "", name: "", from: undefined };

/** Reads a header line. */
export function headerOf({ words }: LineWords): SectionHeader {
  return {
    keyword: words[0]?.value ?? "",
    name: words[1]?.value ?? "",
    from: words[2]?.value === "from" ? words[3]?.value : undefined,
  };
}

/**
 * A section of a file: its header line and all lines up to the next header, comments and conditional lines
 * included. Immutable: an edit makes another section of the same `id`.
 */
export class Section implements SectionHeader {
  /** Stays the same while the section is edited; unique in the process. */
  readonly id: number;
  readonly keyword: string;
  readonly name: string;
  readonly from: string | undefined;
  /** The scope that a `[scope]` line above set, or empty. */
  readonly scope: string;
  /** The lines that shape the file, in order. */
  readonly marks: readonly Mark[];
  /** The number of lines, the header (line 0) included. */
  readonly length: number;
  readonly #origin: Source | undefined;
  readonly #first: number;
  #lines: Lines | undefined;

  private constructor(
    id: number,
    header: SectionHeader,
    scope: string,
    marks: readonly Mark[],
    length: number,
    origin: Source | undefined,
    first: number,
    lines: Lines | undefined,
  ) {
    this.id = id;
    this.keyword = header.keyword;
    this.name = header.name;
    this.from = header.from;
    this.scope = scope;
    this.marks = marks;
    this.length = length;
    this.#origin = origin;
    this.#first = first;
    this.#lines = lines;
  }

  /** A section as it stands in a source. */
  static read(
    header: SectionHeader,
    scope: string,
    marks: readonly Mark[],
    source: Source,
    first: number,
    end: number,
  ): Section {
    return new Section(nextId(), header, scope, marks, end - first, source, first, undefined);
  }

  /** The same section with other lines. */
  with(lines: Lines, marks: readonly Mark[], header: SectionHeader = this): Section {
    return new Section(this.id, header, this.scope, marks, lines.length, undefined, 0, lines);
  }

  /** The lines; the header, where there is one, is line 0. */
  get lines(): Lines {
    this.#lines ??= Lines.of(this.#origin!, this.#first, this.#first + this.length);
    return this.#lines;
  }

  /** Calls back for each stretch of bytes that the section is made of, in order. */
  eachStretch(visit: (bytes: Buffer, from: number, to: number) => void): void {
    if (this.#origin !== undefined) {
      const { bytes, starts } = this.#origin;
      visit(bytes, starts[this.#first]!, starts[this.#first + this.length]!);
      return;
    }
    for (const chunk of this.lines.chunks) {
      const { source, from, to } = chunk.stretch(0, chunk.length);
      visit(source.bytes, source.starts[from]!, source.starts[to]!);
    }
  }
}

/** The key that a section is found by. */
export function sectionKey(keyword: string, name: string): number {
  return keyOf(keyword, name);
}
