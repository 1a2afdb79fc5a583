import { shownLine } from "../config/shown-line.ts";
import { diffLines } from "../store/line-diff.ts";
import type { Document } from "../text/document.ts";

/** Lines around a change that are shown with it. */
const CONTEXT = 3;
/** Bytes of a diff; what is more is left out, and said to be. */
const MAX_BYTES = 1024 * 1024;
const LINE_FEED = 10;

/** What differs between two documents, as a unified diff of each file. Lines that can hold secrets are shown without them. */
export function unifiedDiff(before: Document, after: Document): string {
  if (before === after) return "";
  const out: string[] = [];
  let room = MAX_BYTES;
  let omitted = 0;
  const add = (line: string) => {
    room -= Buffer.byteLength(line) + 1;
    if (room >= 0) out.push(line);
    else omitted++;
  };
  for (const [part, { path }] of after.parts.entries()) {
    const old = before.parts.findIndex((other) => other.path === path);
    let first = true;
    for (const line of partDiff(sideOf(before, old), sideOf(after, part))) {
      if (first) {
        add(`--- ${path}`);
        add(`+++ ${path}`);
        first = false;
      }
      add(line);
    }
  }
  if (omitted > 0) out.push(`… and ${omitted} more lines`);
  return out.length === 0 ? "" : `${out.join("\n")}\n`;
}

interface Hunk {
  readonly before: Stretch;
  readonly after: Stretch;
}

/** Lines from one, counted from 1, to another, exclusive. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** A file in one of the two documents. */
interface Side {
  readonly document: Document;
  /** Its place among the document's files; negative when it is not among them. */
  readonly part: number;
  readonly content: Buffer;
  /** The number of its lines. */
  readonly lines: number;
}

function sideOf(document: Document, part: number): Side {
  if (part < 0) return { document, part, content: Buffer.alloc(0), lines: 0 };
  return { document, part, content: document.print(part), lines: document.lineCount(part) };
}

function* partDiff(before: Side, after: Side): Generator<string> {
  const hunks = diffLines(before.content, after.content).map(
    (edit): Hunk => ({
      before: { from: edit.beforeLine, to: edit.beforeLine + linesIn(edit.before) },
      after: { from: edit.afterLine, to: edit.afterLine + linesIn(edit.after) },
    }),
  );
  for (const group of grouped(hunks)) yield* printGroup(group, before, after);
}

/** Hunks whose context would overlap are shown as one. */
function grouped(hunks: readonly Hunk[]): Hunk[][] {
  const groups: Hunk[][] = [];
  for (const hunk of hunks) {
    const previous = groups.at(-1)?.at(-1);
    if (previous !== undefined && hunk.before.from - previous.before.to <= CONTEXT * 2)
      groups.at(-1)!.push(hunk);
    else groups.push([hunk]);
  }
  return groups;
}

function* printGroup(group: readonly Hunk[], before: Side, after: Side): Generator<string> {
  const [first, end] = [group[0]!, group.at(-1)!];
  const lead = Math.min(CONTEXT, first.before.from - 1);
  const trail = Math.min(CONTEXT, before.lines - end.before.to + 1);
  const stretch = (side: "before" | "after") => {
    const from = first[side].from - lead;
    const count = end[side].to + trail - from;
    return `${count === 0 ? from - 1 : from},${count}`;
  };
  yield `@@ -${stretch("before")} +${stretch("after")} @@`;
  let at = first.before.from - lead;
  for (const hunk of group) {
    yield* printLines(" ", before, at, hunk.before.from);
    yield* printLines("-", before, hunk.before.from, hunk.before.to);
    yield* printLines("+", after, hunk.after.from, hunk.after.to);
    at = hunk.before.to;
  }
  yield* printLines(" ", before, at, end.before.to + trail);
}

function* printLines(sign: string, side: Side, from: number, to: number): Generator<string> {
  for (let line = from; line < to; line++) {
    yield `${sign}${shownLine(side.document, side.part, line)}`;
    if (line === side.lines && side.content.at(-1) !== LINE_FEED) yield "\\ No newline at end of file";
  }
}

function linesIn(bytes: Uint8Array): number {
  let lines = 0;
  for (const byte of bytes) if (byte === LINE_FEED) lines++;
  return bytes.length > 0 && bytes.at(-1) !== LINE_FEED ? lines + 1 : lines;
}
