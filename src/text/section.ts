import { nextId } from "./hints.ts";
import { Line } from "./line.ts";
import { Lines } from "./lines.ts";
import type { Source } from "./source.ts";
import type { StructureKind } from "./structure.ts";

/** A line inside a section that shapes the file: part of a conditional block, a scope line, a message. */
export interface Mark {
  /** Index of the line in its section. */
  readonly index: number;
  readonly kind: Exclude<StructureKind, "section">;
}

interface Header {
  readonly name: string;
  readonly from: string | undefined;
}

/** The words of a header that say who the section is: keyword, name, `from`, name of the defaults. */
const HEADER_WORDS = 4;

/** The section of haproxy.cfg that is read without a name before `from`. */
const UNNAMED = "defaults";

/**
 * A section of a file: its header line and all lines up to the next header, comments and conditional lines included. The lines of a file before its first header are a section without keyword and header.
 * Immutable: an edit makes another section of the same `id`.
 */
export class Section {
  /** Stays the same while the section is edited; unique in the process. */
  readonly id: number;
  /** The section keyword, such as `backend`; empty for the lines of a file before its first section. */
  readonly keyword: string;
  /** The lines that shape the file, in order. */
  readonly marks: readonly Mark[];
  /** The number of lines, the header (line 0) included. */
  readonly length: number;
  readonly #origin: Source | undefined;
  readonly #first: number;
  #lines: Lines | undefined;
  #header: Header | undefined;

  private constructor(
    id: number,
    keyword: string,
    marks: readonly Mark[],
    length: number,
    origin: Source | undefined,
    first: number,
    lines: Lines | undefined,
  ) {
    this.id = id;
    this.keyword = keyword;
    this.marks = marks;
    this.length = length;
    this.#origin = origin;
    this.#first = first;
    this.#lines = lines;
  }

  /** A section as it stands in a source, from line `first` up to `end`. */
  static read(keyword: string, marks: readonly Mark[], source: Source, first: number, end: number): Section {
    return new Section(nextId(), keyword, marks, end - first, source, first, undefined);
  }

  /** The same section with other lines. `header` says that line 0 is another as well. */
  with(lines: Lines, marks: readonly Mark[], header: "same header" | "new header" = "same header"): Section {
    const section = new Section(this.id, this.keyword, marks, lines.length, undefined, 0, lines);
    if (header === "same header") section.#header = this.#header;
    return section;
  }

  /** The second word of the header, or empty. */
  get name(): string {
    return this.#readHeader().name;
  }

  /** The `defaults` section that the header names behind `from`. */
  get from(): string | undefined {
    return this.#readHeader().from;
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
    for (const { runs } of this.lines.chunks)
      for (const { source, from, to } of runs) visit(source.bytes, source.starts[from]!, source.starts[to]!);
  }

  #readHeader(): Header {
    this.#header ??= this.keyword === "" ? NO_HEADER : this.#lexHeader();
    return this.#header;
  }

  #lexHeader(): Header {
    const line = this.#origin === undefined ? this.#lines!.at(0)! : new Line(this.#origin, this.#first);
    const words = line.firstWords(HEADER_WORDS);
    // Of all sections only `defaults` may leave its name out and still say `from`.
    const named = this.keyword !== UNNAMED || words[1]?.value !== "from";
    const [from, based] = words.slice(named ? 2 : 1);
    return {
      name: named ? (words[1]?.value ?? "") : "",
      from: from?.value === "from" ? based?.value : undefined,
    };
  }
}

const NO_HEADER: Header = { name: "", from: undefined };
