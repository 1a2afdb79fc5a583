import { readLineOf } from "../grammar/read-section.ts";
import type { TypedLine } from "../grammar/section-codec.ts";
import type { Fields } from "../grammar/slot.ts";
import type { Chunk } from "../text/chunk.ts";
import type { Line } from "../text/line.ts";
import type { Section } from "../text/section.ts";
import type { ChildKind, SectionKind } from "./kinds.ts";

/** A line of a section that is a resource of its own. */
export interface ChildLine {
  /** Its name in the section; synthesized for binds that have none: `@` and the addresses. */
  readonly id: string;
  /** Where the line stands: an index in the section. */
  readonly index: number;
  /** The chunk that has the line, and where; what is derived from the line may be kept with these. */
  readonly chunk: Chunk;
  readonly offset: number;
}

interface ChunkChild {
  readonly id: string;
  readonly offset: number;
}

interface ChunkChildren {
  readonly list: readonly ChunkChild[];
  readonly ids: ReadonlySet<string>;
}

const KNOWN_SECTIONS = new WeakMap<ChildKind, WeakMap<Section, readonly ChildLine[]>>();
const KNOWN_CHUNKS = new WeakMap<ChildKind, WeakMap<Chunk, ChunkChildren>>();

/** The children of a kind in a section, in order, those in conditional blocks included. */
export function childrenOf(section: Section, kind: SectionKind, child: ChildKind): readonly ChildLine[] {
  const known = mapOf(KNOWN_SECTIONS, child);
  const found = known.get(section);
  if (found !== undefined) return found;
  const children: ChildLine[] = [];
  let first = 0;
  for (const chunk of section.lines.chunks) {
    for (const { id, offset } of chunkChildren(chunk, kind, child).list)
      children.push({ id, index: first + offset, chunk, offset });
    first += chunk.length;
  }
  known.set(section, children);
  return children;
}

/** The child that stands at an index of the section. */
export function childAt(
  section: Section,
  kind: SectionKind,
  child: ChildKind,
  index: number,
): ChildLine | undefined {
  const children = childrenOf(section, kind, child);
  let [low, high] = [0, children.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (children[middle]!.index < index) low = middle + 1;
    else high = middle;
  }
  return children[low]?.index === index ? children[low] : undefined;
}

/** The children of this name: more than one means that the name is ambiguous. */
export function findChildren(section: Section, kind: SectionKind, child: ChildKind, id: string): number[] {
  // Servers are named by their second word, and lines are indexed by their first two.
  if (child.case === "server") return section.lines.find("server", id).filter((index) => index > 0);
  const found: number[] = [];
  let first = 0;
  for (const chunk of section.lines.chunks) {
    const { list, ids } = chunkChildren(chunk, kind, child);
    if (ids.has(id)) for (const line of list) if (line.id === id) found.push(first + line.offset);
    first += chunk.length;
  }
  return found;
}

/** Index of the last child of a kind. Looks from the end, because that is where children that were just added stand. */
export function lastChildIndex(section: Section, child: ChildKind): number | undefined {
  const { lines } = section;
  for (let index = lines.length - 1; index > 0; index--) if (isChildOf(lines.at(index)!, child)) return index;
  return undefined;
}

/** What a child's line says; undefined when the grammar cannot tell. */
export function readChild(kind: SectionKind, child: ChildKind, line: Line): TypedLine | undefined {
  const reading = readLineOf(kind.codec, kind.keyword, line);
  return reading.kind === "typed" && reading.directive === child.directive ? reading : undefined;
}

/** Whether a line is a child of its section. Decided by the first word alone, which is what child directives have. */
export function isChildLine(kind: SectionKind, line: Line): boolean {
  const first = kind.children.length === 0 ? undefined : line.firstWords(1)[0]?.value;
  return first !== undefined && kind.children.some(({ directive }) => directive.syntax.keyword[0] === first);
}

function chunkChildren(chunk: Chunk, kind: SectionKind, child: ChildKind): ChunkChildren {
  const known = mapOf(KNOWN_CHUNKS, child);
  let found = known.get(chunk);
  if (found === undefined) {
    const list = readChunk(chunk, kind, child);
    found = { list, ids: new Set(list.map(({ id }) => id)) };
    known.set(chunk, found);
  }
  return found;
}

function readChunk(chunk: Chunk, kind: SectionKind, child: ChildKind): ChunkChild[] {
  const children: ChunkChild[] = [];
  for (let offset = 0; offset < chunk.length; offset++) {
    const id = childIdOf(kind, child, chunk.at(offset));
    if (id !== undefined) children.push({ offset, id });
  }
  return children;
}

/** The id that a line has as a child of its section; undefined for a line that is no child of this kind. */
export function childIdOf(kind: SectionKind, child: ChildKind, line: Line): string | undefined {
  const words = line.firstWords(2);
  if (words.length < 2 || words[0]!.value !== child.directive.syntax.keyword[0]) return undefined;
  return child.case === "server" ? words[1]!.value : bindId(kind, child, line);
}

/** The id that a message gives to its line. */
export function idOfChild(child: ChildKind, message: Fields): string {
  return child.case === "bind" ? idOfBind(message) : String(message.name);
}

function isChildOf(line: Line, child: ChildKind): boolean {
  const words = line.firstWords(2);
  return words.length === 2 && words[0]!.value === child.directive.syntax.keyword[0];
}

/** The id of a bind: its name, else `@` and the addresses it listens on. */
function bindId(kind: SectionKind, child: ChildKind, line: Line): string {
  const message = readChild(kind, child, line)?.value as Fields | undefined;
  return message === undefined ? `@${line.words[1]?.value ?? ""}` : idOfBind(message);
}

/** The id that a bind's message gives it. */
export function idOfBind(message: Fields): string {
  const { name, addresses } = message as unknown as { name?: string; addresses: string[] };
  return name === undefined || name === "" ? `@${addresses.join(",")}` : name;
}

function mapOf<K extends object, V extends object, T>(
  maps: WeakMap<K, WeakMap<V, T>>,
  key: K,
): WeakMap<V, T> {
  let map = maps.get(key);
  if (map === undefined) {
    map = new WeakMap();
    maps.set(key, map);
  }
  return map;
}
