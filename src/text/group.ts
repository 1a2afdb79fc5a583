import { keyOf, nextId } from "./hints.ts";
import type { Section } from "./section.ts";
import type { SequenceItem } from "./sequence.ts";

/** Sections per group when a group is made; it may grow to twice as many. */
const FILL = 32;

/** Consecutive sections of one part. */
export class Group implements SequenceItem {
  readonly id: number;
  readonly part: number;
  readonly sections: readonly Section[];
  readonly length: number;
  /** True when lines in it shape the file. */
  readonly marked: boolean;
  #keys: readonly number[] | undefined;

  private constructor(
    id: number,
    part: number,
    sections: readonly Section[],
    length: number,
    marked: boolean,
  ) {
    this.id = id;
    this.part = part;
    this.sections = sections;
    this.length = length;
    this.marked = marked;
  }

  /** A group of these sections. */
  static of(id: number, part: number, sections: readonly Section[]): Group {
    let length = 0;
    for (const section of sections) length += section.length;
    return new Group(id, part, sections, length, sections.some(isMarked));
  }

  /** The group with one section replaced by another; looks at no third. */
  with(offset: number, section: Section): Group {
    const old = this.sections[offset]!;
    const sections = this.sections.slice();
    sections[offset] = section;
    const marked = isMarked(section) || (this.marked && (!isMarked(old) || sections.some(isMarked)));
    const group = new Group(this.id, this.part, sections, this.length + section.length - old.length, marked);
    if (section.keyword === old.keyword && section.name === old.name) group.#keys = this.#keys;
    return group;
  }

  /** The keys by which the sections are found. */
  get keys(): readonly number[] {
    this.#keys ??= this.sections.flatMap(keysOf);
    return this.#keys;
  }
}

function isMarked({ marks }: Section): boolean {
  return marks.length > 0;
}

/** A section is found by its keyword, and by its keyword and name. */
export function keysOf({ keyword, name }: Section): readonly [number, number] {
  return [keyOf(keyword, undefined), keyOf(keyword, name)];
}

/** Groups of a handy size. The first gets the id `firstId`. */
export function groupsOf(part: number, sections: readonly Section[], firstId = nextId()): Group[] {
  const fill = sections.length > FILL * 2 ? FILL : sections.length;
  const groups: Group[] = [];
  for (let i = 0; i < sections.length; i += fill)
    groups.push(Group.of(i === 0 ? firstId : nextId(), part, sections.slice(i, i + fill)));
  return groups;
}
