import { Document } from "../text/document.ts";
import { Line } from "../text/line.ts";
import { type Source, splitLines } from "../text/source.ts";
import { SPOE_SECTIONS, StructureReader } from "../text/structure.ts";

/** Id of the scope that the lines before the first `[scope]` make. */
export const UNNAMED = "@1";

/** What one engine reads: a document of its own, in which its agent, groups and messages name each other. */
export interface Scope {
  /** Name of the engine, or {@link UNNAMED}. */
  readonly id: string;
  /** The lines from the comments above `[scope]` to those above the next. */
  readonly document: Document;
}

/** A SPOE file. Immutable; printing it gives back the bytes it was read from. */
export interface SpoeFile {
  /** Its name in its directory. */
  readonly name: string;
  /** In the order of the file. The first is always the one without a name; a name may stand twice. */
  readonly scopes: readonly Scope[];
}

/** Reads a SPOE file. Never fails. */
export function parseSpoeFile(name: string, bytes: Buffer): SpoeFile {
  const source = splitLines(bytes);
  const { starts } = source;
  const structure = new StructureReader(SPOE_SECTIONS);
  const cuts = [{ id: UNNAMED, first: 0 }];
  for (let line = 0; line < starts.length - 1; line++) {
    if (structure.read(bytes, starts[line]!, starts[line + 1]!)?.kind !== "scope") continue;
    cuts.push({ id: new Line(source, line).scope, first: firstOf(source, line, cuts.at(-1)!.first) });
  }
  const scopes = cuts.map(({ id, first }, index) => {
    const end = cuts[index + 1]?.first ?? starts.length - 1;
    return { id, document: parseScope(name, bytes.subarray(starts[first]!, starts[end]!)) };
  });
  return { name, scopes };
}

/** The bytes of a file. */
export function printSpoeFile({ scopes }: SpoeFile): Buffer {
  return Buffer.concat(scopes.map(({ document }) => document.print(0)));
}

/** The scopes that have a name, or lines that say something. */
export function scopesOf({ scopes }: SpoeFile): readonly Scope[] {
  return scopes.filter(({ id, document }) => id !== UNNAMED || document.list(...SPOE_SECTIONS).length > 0);
}

/** The file with a scope that holds something else. */
export function replaceScope(file: SpoeFile, scope: Scope, document: Document): SpoeFile {
  return { ...file, scopes: file.scopes.map((one) => (one === scope ? { ...one, document } : one)) };
}

/** The file with an empty scope behind another, set apart by a blank line. */
export function addScope(file: SpoeFile, id: string, after: Scope): SpoeFile {
  const above = after.document.print(0);
  const { newline } = after.document.parts[0]!;
  const ended = above.length === 0 || above.at(-1) === LF ? "" : newline;
  const apart = above.length === 0 || /\n[\t\r ]*\n$/.test(`\n${above.toString("latin1")}`) ? "" : newline;
  const before = parseScope(file.name, Buffer.concat([above, Buffer.from(`${ended}${apart}`)]));
  const index = file.scopes.indexOf(after);
  const isLast = index === file.scopes.length - 1;
  const own = parseScope(file.name, Buffer.from(`[${id}]${newline}${isLast ? "" : newline}`));
  const scopes = file.scopes.toSpliced(index, 1, { id: after.id, document: before }, { id, document: own });
  return { ...file, scopes };
}

/** The file without a scope and all that is in it. */
export function removeScope(file: SpoeFile, scope: Scope): SpoeFile {
  if (scope.id === UNNAMED) return replaceScope(file, scope, parseScope(file.name, Buffer.alloc(0)));
  return { ...file, scopes: file.scopes.filter((one) => one !== scope) };
}

/** Line in the file at which a scope begins, counted from 1. */
export function firstLineOf({ scopes }: SpoeFile, scope: Scope): number {
  let line = 1;
  for (const one of scopes) {
    if (one === scope) return line;
    line += one.document.lineCount(0);
  }
  throw new RangeError("the scope is not of this version of the file");
}

const LF = 10;

/** The comments right above a scope line are about the scope, unless the file begins with them. */
function firstOf(source: Source, scopeLine: number, above: number): number {
  let first = scopeLine;
  while (first > above && isComment(new Line(source, first - 1))) first--;
  return first === 0 ? scopeLine : first;
}

function isComment(line: Line): boolean {
  return line.empty && line.comment >= 0;
}

function parseScope(path: string, bytes: Buffer): Document {
  return Document.parse([{ path, bytes }], SPOE_SECTIONS);
}
