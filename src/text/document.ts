import { Content } from "../lib/content.ts";
import { type Arm, type Arms, armsOf } from "./arms.ts";
import { type Group, groupsOf, keysOf } from "./group.ts";
import { keyOf } from "./hints.ts";
import type { Line } from "./line.ts";
import { readSections } from "./read-sections.ts";
import type { Mark, Section } from "./section.ts";
import { Sequence } from "./sequence.ts";
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

/**
 * Configuration text that loses nothing: the files HAProxy reads, as sections and lines. Immutable; the functions of
 * `edit.ts` give a new document that shares everything else. Printing a part gives back the bytes it was read from.
 */
export class Document {
  readonly parts: readonly Part[];
  /** Tells which lines shape a file. */
  readonly structure: StructureReader;
  readonly #groups: Sequence<Group>;
  /** For each part the position of its first group, and one more for the end. */
  #partStarts: readonly number[] | undefined;
  #arms: (Arms | undefined)[] | undefined;

  private constructor(parts: readonly Part[], structure: StructureReader, groups: Sequence<Group>) {
    this.parts = parts;
    this.structure = structure;
    this.#groups = groups;
  }

  /** Reads files in the order HAProxy reads them. `sections` are the words that start a section. */
  static parse(inputs: readonly PartInput[], sections: ReadonlySet<string> = CONFIG_SECTIONS): Document {
    const structure = new StructureReader(sections);
    const groups: Group[] = [];
    const parts = inputs.map(({ path, bytes }, part) => {
      for (const group of groupsOf(part, readSections(bytes, structure))) groups.push(group);
      const feed = bytes.indexOf(10);
      return { path, newline: feed > 0 && bytes[feed - 1] === 13 ? "\r\n" : "\n" } as const;
    });
    return new Document(parts, structure, Sequence.of(groups));
  }

  /** All sections in order; the lines before a file's first header come as a section without keyword. */
  *sections(part?: number): Generator<Section, void, undefined> {
    const [from, to] = part === undefined ? [0, this.#groups.size] : this.#rangeOf(part);
    for (let position = from; position < to; position++) yield* this.#groups.at(position).sections;
  }

  /**
   * The sections, in order, of the stretches that another version of this document does not share; among them may be some that it has
   * all the same. It costs little where the versions share most.
   */
  *sectionsApartFrom(other: Document): Generator<Section, void, undefined> {
    const shared = new Set(other.#groups);
    for (const group of this.#groups) if (!shared.has(group)) yield* group.sections;
  }

  /** The sections with a keyword, or one of several, in order. */
  list(...keywords: readonly string[]): Section[] {
    return this.#collect(
      keywords.map((keyword) => keyOf(keyword, undefined)),
      (section) => keywords.includes(section.keyword),
    );
  }

  /** The last section with a keyword. It is found the sooner the nearer it is to the end. */
  lastOf(keyword: string): Section | undefined {
    for (let position = this.#groups.size - 1; position >= 0; position--) {
      const found = this.#groups.at(position).sections.findLast((section) => section.keyword === keyword);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The sections with a keyword (or one of several) and name. More than one means that the name is ambiguous. */
  find(keyword: string | readonly string[], name: string): Section[] {
    const keywords = typeof keyword === "string" ? [keyword] : keyword;
    return this.#collect(
      keywords.map((word) => keyOf(word, name)),
      (section) => section.name === name && keywords.includes(section.keyword),
    );
  }

  /** This document's version of a section that may come from an earlier one; undefined when it was deleted. */
  current(section: Section): Section | undefined {
    const slot = this.#slotOf(section);
    return slot === undefined ? undefined : this.#groups.at(slot.position).sections[slot.offset];
  }

  /** The part that a section belongs to. */
  partOf(section: Section): number {
    return this.#groups.at(this.#require(section).position).part;
  }

  /** Where a line of a section stands in its file. */
  positionOf(section: Section, index = 0): Position {
    const { position, offset } = this.#require(section);
    const { part, sections } = this.#groups.at(position);
    let line = this.#groups.startOf(position) - this.#groups.startOf(this.#rangeOf(part)[0]) + index + 1;
    for (let i = 0; i < offset; i++) line += sections[i]!.length;
    return { part, line };
  }

  /** The section and line at a position; undefined outside the document. */
  placeAt({ part, line }: Position): Place | undefined {
    if (this.parts[part] === undefined || line < 1 || line > this.lineCount(part)) return undefined;
    const target = this.#groups.startOf(this.#rangeOf(part)[0]) + line - 1;
    const { position, start } = this.#groups.slotAt(target);
    let index = target - start;
    for (const section of this.#groups.at(position).sections) {
      if (index < section.length) return { section, index };
      index -= section.length;
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
    return this.#groups.startOf(to) - this.#groups.startOf(from);
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
    this.#arms ??= [];
    this.#arms[part] ??= armsOf(this.#marksOf(part));
    return this.#arms[part];
  }

  /** The bytes of a part, those that other versions of the document share in memory that they share. */
  content(part: number): Content {
    const stretches: Stretch[] = [];
    const [from, to] = this.#rangeOf(part);
    for (let position = from; position < to; position++) {
      for (const section of this.#groups.at(position).sections) {
        section.eachStretch((bytes, from, to) => {
          const last = stretches.at(-1);
          if (last !== undefined && last.bytes === bytes && last.to === from) last.to = to;
          else stretches.push({ bytes, from, to });
        });
      }
    }
    return new Content(piecesOf(stretches));
  }

  /** The same in one piece. */
  print(part: number): Buffer {
    return this.content(part).bytes;
  }

  /**
   * The document with `deleteCount` sections from `section` on replaced by others of the same part; the building
   * block of `edit.ts`, which keeps the text sound.
   */
  replaceSections(section: Section, deleteCount: number, replacements: readonly Section[]): Document {
    const { position, offset } = this.#require(section);
    const old = this.#groups.at(position);
    const groups: Group[] = [];
    let end = position + 1;
    if (deleteCount === 1 && replacements.length === 1) groups.push(old.with(offset, replacements[0]!));
    else {
      let sections = old.sections;
      while (offset + deleteCount > sections.length)
        sections = [...sections, ...this.#groups.at(end++).sections];
      sections = sections.toSpliced(offset, deleteCount, ...replacements);
      groups.push(...groupsOf(old.part, sections, old.id));
    }
    const changed = this.#groups.splice(position, end - position, groups, replacements.flatMap(keysOf));
    const document = new Document(this.parts, this.structure, changed);
    const shift = groups.length - (end - position);
    document.#partStarts =
      shift === 0
        ? this.#partStarts
        : this.#partStarts?.map((start, part) => (part > old.part ? start + shift : start));
    return document;
  }

  /** The section right before or after another in the same part. */
  neighbour(section: Section, step: -1 | 1): Section | undefined {
    const { position, offset } = this.#require(section);
    const { part, sections } = this.#groups.at(position);
    const beside = sections[offset + step];
    if (beside !== undefined) return beside;
    const [from, to] = this.#rangeOf(part);
    const other = position + step;
    return other < from || other >= to ? undefined : this.#groups.at(other).sections.at(step === 1 ? 0 : -1);
  }

  /** The last section of a part; the lines before the first section when there is no other. */
  last(part: number): Section {
    const [, to] = this.#rangeOf(part);
    return this.#groups.at(to - 1).sections.at(-1)!;
  }

  #collect(keys: readonly number[], matches: (section: Section) => boolean): Section[] {
    const positions = keys.flatMap((key) => [...this.#groups.holding(key)]);
    const sections: Section[] = [];
    for (const position of new Set(positions.sort((a, b) => a - b)))
      for (const section of this.#groups.at(position).sections) if (matches(section)) sections.push(section);
    return sections;
  }

  #slotOf(section: Section): { position: number; offset: number } | undefined {
    for (const position of this.#groups.holding(keyOf(section.keyword, section.name))) {
      const offset = this.#groups.at(position).sections.findIndex(({ id }) => id === section.id);
      if (offset >= 0) return { position, offset };
    }
    return undefined;
  }

  #require(section: Section): { position: number; offset: number } {
    const slot = this.#slotOf(section);
    if (slot === undefined || this.#groups.at(slot.position).sections[slot.offset] !== section)
      throw new Error("the section is not of this version of the document");
    return slot;
  }

  #rangeOf(part: number): readonly [from: number, to: number] {
    if (this.#partStarts === undefined) {
      const starts: number[] = [];
      let position = 0;
      for (const group of this.#groups) {
        if (starts.length === group.part) starts.push(position);
        position++;
      }
      this.#partStarts = [...starts, position];
    }
    const from = this.#partStarts[part];
    const to = this.#partStarts[part + 1];
    if (from === undefined || to === undefined) throw new RangeError("no such part");
    return [from, to];
  }

  *#marksOf(part: number): Generator<{ kind: Mark["kind"]; line: number; text: () => Line }> {
    const [from, to] = this.#rangeOf(part);
    let first = 1;
    for (let position = from; position < to; position++) {
      const group = this.#groups.at(position);
      if (group.marked) {
        let line = first;
        for (const section of group.sections) {
          for (const { index, kind } of section.marks)
            yield { kind, line: line + index, text: () => section.lines.at(index)! };
          line += section.length;
        }
      }
      first += group.length;
    }
  }
}

interface Stretch {
  readonly bytes: Buffer;
  readonly from: number;
  to: number;
}

/** A stretch below this is copied together with its neighbours, so that no content has more pieces than its size is worth. */
const SHARED_BYTES = 16_384;

function piecesOf(stretches: readonly Stretch[]): Buffer[] {
  const pieces: Buffer[] = [];
  let small: Stretch[] = [];
  const join = () => {
    if (small.length === 0) return;
    const piece = Buffer.allocUnsafe(small.reduce((sum, { from, to }) => sum + to - from, 0));
    let at = 0;
    for (const { bytes, from, to } of small) at += bytes.copy(piece, at, from, to);
    pieces.push(piece);
    small = [];
  };
  for (const stretch of stretches) {
    if (stretch.to - stretch.from < SHARED_BYTES) small.push(stretch);
    else {
      join();
      pieces.push(stretch.bytes.subarray(stretch.from, stretch.to));
    }
  }
  join();
  return pieces;
}
