import { type Arm, type Arms, armsOf } from "./arms.ts";
import { KeyHints, keyOf, nextId } from "./keys.ts";
import type { Line } from "./line.ts";
import { lastAtMost } from "./lines.ts";
import { headerOf, type Mark, PREAMBLE, Section, type SectionHeader, sectionKey } from "./section.ts";
import { splitLines } from "./source.ts";
import { CONFIG_SECTIONS, StructureReader } from "./structure.ts";

/** One file of a document. */
export interface Part {
  /** The path as HAProxy is given it. */
  readonly path: string;
  /** The line ending of its first line; `\n` when it has none. */
  readonly newline: "\n" | "\r\n";
}

/** A file to be read. The buffer is kept and must not change. */
export interface PartInput {
  readonly path: string;
  readonly bytes: Buffer;
}

/** A place in a document, as HAProxy's alerts name it. */
export interface Position {
  /** Index of the part. */
  readonly part: number;
  /** Line in that file, counted from 1. */
  readonly line: number;
}

/** A line of a document by the section it belongs to. */
export interface Place {
  readonly section: Section;
  /** Index of the line in its section; 0 is the header. */
  readonly index: number;
}

const FILL_SECTIONS = 64;

/** Consecutive sections of one part. */
interface Group {
  readonly id: number;
  readonly part: number;
  readonly sections: readonly Section[];
  readonly lines: number;
  readonly marks: number;
}

/** Where the groups stand; shared by versions that have the same groups in the same order. */
interface Shape {
  readonly positions: ReadonlyMap<number, number>;
  /** For each part the position of its first group, and one more for the end. */
  readonly parts: readonly number[];
}

/**
 * Configuration text that loses nothing: the files HAProxy reads, as sections and lines. Immutable; the functions of
 * `edit.ts` give a new document that shares everything else. Printing a part gives back the bytes it was read from.
 */
export class Document {
  readonly parts: readonly Part[];
  /** Tells which lines shape a file. */
  readonly structure: StructureReader;
  readonly #groups: readonly Group[];
  #shape: Shape | undefined;
  #hints: KeyHints | undefined;
  #lineStarts: Uint32Array | undefined;
  #arms: (Arms | undefined)[] = [];

  private constructor(parts: readonly Part[], structure: StructureReader, groups: readonly Group[]) {
    this.parts = parts;
    this.structure = structure;
    this.#groups = groups;
  }

  /** Reads files in the order HAProxy reads them. `sections` are the words that start a section. */
  static parse(inputs: readonly PartInput[], sections: ReadonlySet<string> = CONFIG_SECTIONS): Document {
    const structure = new StructureReader(sections);
    const groups: Group[] = [];
    const parts = inputs.map(({ path, bytes }, part) => {
      const found = readSections(bytes, structure);
      for (let i = 0; i < found.length; i += FILL_SECTIONS)
        groups.push(group(nextId(), part, found.slice(i, i + FILL_SECTIONS)));
      const feed = bytes.indexOf(10);
      return { path, newline: feed > 0 && bytes[feed - 1] === 13 ? "\r\n" : "\n" } as const;
    });
    return new Document(parts, structure, groups);
  }

  /** All sections in order; the lines before a file's first header come as a section without keyword. */
  *sections(part?: number): Generator<Section, void, undefined> {
    const [from, to] = part === undefined ? [0, this.#groups.length] : this.#rangeOf(part);
    for (let position = from; position < to; position++) yield* this.#groups[position]!.sections;
  }

  /** The sections with a keyword, or one of several, in order. */
  list(...keywords: readonly string[]): Section[] {
    return this.#collect(
      keywords.map((keyword) => keyOf(keyword, undefined)),
      (section) => keywords.includes(section.keyword),
    );
  }

  /** The sections with a keyword (or one of several) and name. More than one means that the name is ambiguous. */
  find(keyword: string | readonly string[], name: string): Section[] {
    const keywords = typeof keyword === "string" ? [keyword] : keyword;
    return this.#collect(
      keywords.map((word) => sectionKey(word, name)),
      (section) => section.name === name && keywords.includes(section.keyword),
    );
  }

  /** This document's version of a section that may come from an earlier one; undefined when it was deleted. */
  current(section: Section): Section | undefined {
    const slot = this.#slotOf(section);
    return slot === undefined ? undefined : this.#groups[slot.position]!.sections[slot.offset];
  }

  /** The part that a section belongs to. */
  partOf(section: Section): number {
    return this.#groups[this.#require(section).position]!.part;
  }

  /** Where a line of a section stands in its file. */
  positionOf(section: Section, index = 0): Position {
    const { position, offset } = this.#require(section);
    const { part, sections } = this.#groups[position]!;
    let line = this.#starts()[position]! - this.#starts()[this.#shapes().parts[part]!]! + index + 1;
    for (let i = 0; i < offset; i++) line += sections[i]!.length;
    return { part, line };
  }

  /** The section and line at a position; undefined outside the document. */
  placeAt({ part, line }: Position): Place | undefined {
    if (this.parts[part] === undefined || line < 1) return undefined;
    const [from, to] = this.#rangeOf(part);
    const starts = this.#starts();
    const target = starts[from]! + line - 1;
    if (target >= starts[to]!) return undefined;
    let rest = target;
    const position = lastAtMost(starts, to, target);
    rest -= starts[position]!;
    for (const section of this.#groups[position]!.sections) {
      if (rest < section.length) return { section, index: rest };
      rest -= section.length;
    }
    return undefined;
  }

  /** The line at a position. */
  lineAt(position: Position): Line | undefined {
    const place = this.placeAt(position);
    return place?.section.lines.at(place.index);
  }

  /** The number of lines in a part. */
  lineCount(part: number): number {
    const [from, to] = this.#rangeOf(part);
    return this.#starts()[to]! - this.#starts()[from]!;
  }

  /**
   * The innermost arm of a conditional block that a line stands in; undefined outside of any. The lines `.if`,
   * `.elif`, `.else` and `.endif` themselves stand where their block stands.
   */
  armOf(section: Section, index = 0): Arm | undefined {
    const { part, line } = this.positionOf(section, index);
    return this.armsIn(part).at(line);
  }

  /** The conditional blocks of a part. */
  armsIn(part: number): Arms {
    let arms = this.#arms[part];
    if (arms === undefined) {
      arms = armsOf(this.#marksOf(part));
      this.#arms[part] = arms;
    }
    return arms;
  }

  /** The bytes of a part. */
  print(part: number): Buffer {
    const stretches: { bytes: Buffer; from: number; to: number }[] = [];
    let size = 0;
    const [from, to] = this.#rangeOf(part);
    for (let position = from; position < to; position++) {
      for (const section of this.#groups[position]!.sections) {
        section.eachStretch((bytes, from, to) => {
          size += to - from;
          const last = stretches.at(-1);
          if (last !== undefined && last.bytes === bytes && last.to === from) last.to = to;
          else stretches.push({ bytes, from, to });
        });
      }
    }
    const printed = Buffer.allocUnsafe(size);
    let at = 0;
    for (const { bytes, from, to } of stretches) at += bytes.copy(printed, at, from, to);
    return printed;
  }

  /**
   * The document with `deleteCount` sections from `section` on replaced by others of the same part; the building
   * block of `edit.ts`, which keeps the text sound.
   */
  replaceSections(section: Section, deleteCount: number, replacements: readonly Section[]): Document {
    const { position, offset } = this.#require(section);
    const old = this.#groups[position]!;
    let last = position;
    let rest = offset + deleteCount;
    let sections = old.sections;
    while (rest > sections.length) {
      last++;
      sections = [...sections, ...this.#groups[last]!.sections];
    }
    sections = sections.toSpliced(offset, deleteCount, ...replacements);
    const built: Group[] = [];
    if (sections.length <= FILL_SECTIONS * 2) {
      if (sections.length > 0) built.push(group(old.id, old.part, sections));
    } else {
      for (let i = 0; i < sections.length; i += FILL_SECTIONS)
        built.push(group(i === 0 ? old.id : nextId(), old.part, sections.slice(i, i + FILL_SECTIONS)));
    }
    rest = last - position + 1;
    const document = new Document(
      this.parts,
      this.structure,
      this.#groups.toSpliced(position, rest, ...built),
    );
    const sameShape = built.length === 1 && rest === 1;
    if (sameShape) document.#shape = this.#shape;
    if (this.#hints !== undefined && !this.#hints.worn) {
      document.#hints = this.#hints;
      if (sameShape) for (const added of replacements) note(this.#hints, added, old.id);
      else for (const { id, sections } of built) for (const moved of sections) note(this.#hints, moved, id);
    }
    return document;
  }

  /** The section right before or after another in the same part. */
  neighbour(section: Section, step: -1 | 1): Section | undefined {
    const { position, offset } = this.#require(section);
    const { part, sections } = this.#groups[position]!;
    const beside = sections[offset + step];
    if (beside !== undefined) return beside;
    const group = this.#groups[position + step];
    return group?.part === part ? group.sections.at(step === 1 ? 0 : -1) : undefined;
  }

  /** The last section of a part; the lines before the first section when there is no other. */
  last(part: number): Section {
    const [, to] = this.#rangeOf(part);
    return this.#groups[to - 1]!.sections.at(-1)!;
  }

  #collect(keys: readonly number[], matches: (section: Section) => boolean): Section[] {
    const hints = this.#index();
    const { positions } = this.#shapes();
    const found = new Set<number>();
    for (const key of keys) {
      for (const id of hints.get(key)) {
        const position = positions.get(id);
        if (position !== undefined) found.add(position);
      }
    }
    const sorted = found.size > 1 ? [...found].sort((a, b) => a - b) : found;
    const sections: Section[] = [];
    for (const position of sorted)
      for (const section of this.#groups[position]!.sections) if (matches(section)) sections.push(section);
    return sections;
  }

  #slotOf(section: Section): { position: number; offset: number } | undefined {
    const { positions } = this.#shapes();
    for (const id of this.#index().get(sectionKey(section.keyword, section.name))) {
      const position = positions.get(id);
      if (position === undefined) continue;
      const offset = this.#groups[position]!.sections.findIndex((other) => other.id === section.id);
      if (offset >= 0) return { position, offset };
    }
    return undefined;
  }

  #require(section: Section): { position: number; offset: number } {
    const slot = this.#slotOf(section);
    if (slot === undefined || this.#groups[slot.position]!.sections[slot.offset] !== section)
      throw new Error("the section is not of this version of the document");
    return slot;
  }

  #index(): KeyHints {
    if (this.#hints === undefined) {
      let count = 0;
      for (const { sections } of this.#groups) count += sections.length;
      this.#hints = new KeyHints(count);
      for (const { id, sections } of this.#groups)
        for (const section of sections) note(this.#hints, section, id);
    }
    return this.#hints;
  }

  #shapes(): Shape {
    if (this.#shape === undefined) {
      const positions = new Map<number, number>();
      const parts: number[] = [];
      this.#groups.forEach(({ id, part }, position) => {
        positions.set(id, position);
        if (parts.length === part) parts.push(position);
      });
      parts.push(this.#groups.length);
      this.#shape = { positions, parts };
    }
    return this.#shape;
  }

  #rangeOf(part: number): readonly [from: number, to: number] {
    const { parts } = this.#shapes();
    const from = parts[part];
    const to = parts[part + 1];
    if (from === undefined || to === undefined) throw new RangeError("no such part");
    return [from, to];
  }

  #starts(): Uint32Array {
    if (this.#lineStarts === undefined) {
      const starts = new Uint32Array(this.#groups.length + 1);
      for (let i = 0; i < this.#groups.length; i++) starts[i + 1] = starts[i]! + this.#groups[i]!.lines;
      this.#lineStarts = starts;
    }
    return this.#lineStarts;
  }

  *#marksOf(part: number): Generator<{ kind: Mark["kind"]; line: number; text: () => Line }> {
    const [from, to] = this.#rangeOf(part);
    for (let position = from; position < to; position++) {
      const group = this.#groups[position]!;
      if (group.marks === 0) continue;
      let first = this.#starts()[position]! - this.#starts()[from]! + 1;
      for (const section of group.sections) {
        for (const { index, kind } of section.marks)
          yield { kind, line: first + index, text: () => section.lines.at(index)! };
        first += section.length;
      }
    }
  }
}

function group(id: number, part: number, sections: readonly Section[]): Group {
  let lines = 0;
  let marks = 0;
  for (const section of sections) {
    lines += section.length;
    marks += section.marks.length;
  }
  return { id, part, sections, lines, marks };
}

function note(hints: KeyHints, section: Section, group: number): void {
  hints.add(sectionKey(section.keyword, section.name), group);
  hints.add(keyOf(section.keyword, undefined), group);
}

const NO_MARKS: readonly Mark[] = [];

function readSections(bytes: Buffer, structure: StructureReader): Section[] {
  const source = splitLines(bytes);
  const { starts } = source;
  const sections: Section[] = [];
  let header: SectionHeader = PREAMBLE;
  let first = 0;
  let scope = "";
  let headScope = "";
  let marks: Mark[] | undefined;
  const count = starts.length - 1;
  for (let line = 0; line < count; line++) {
    const found = structure.read(bytes, starts[line]!, starts[line + 1]!);
    if (found === undefined) continue;
    if (found.kind === "section") {
      sections.push(Section.read(header, headScope, marks ?? NO_MARKS, source, first, line));
      header = headerOf(found.words);
      first = line;
      headScope = scope;
      marks = undefined;
    } else {
      if (found.kind === "scope") scope = scopeOf(bytes, starts[line]!, starts[line + 1]!);
      marks ??= [];
      marks.push({ index: line - first, kind: found.kind });
    }
  }
  sections.push(Section.read(header, headScope, marks ?? NO_MARKS, source, first, count));
  return sections;
}

/** The name between the brackets of a scope line. */
function scopeOf(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString("utf8", start, end);
  const open = text.indexOf("[");
  const close = text.indexOf("]", open);
  return close < 0 ? "" : text.slice(open + 1, close);
}
