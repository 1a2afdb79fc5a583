import { shownLine } from "../config/shown-line.ts";
import { diffLines } from "../store/line-diff.ts";
import type { Document } from "../text/document.ts";

/** Lines around a change that are shown with it. */
const CONTEXT = 3;
/** Bytes of a diff; what is more is left out, and said to be. */
const MAX_BYTES = 1024 * 1024;

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
    for (const [index, line] of partDiff(before, old, after, part).entries()) {
      if (index === 0) {
        add(`--- ${path}`);
        add(`+++ ${path}`);
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

function partDiff(before: Document, old: number, after: Document, part: number): string[] {
  const content = old < 0 ? Buffer.alloc(0) : before.print(old);
  const hunks = diffLines(content, after.print(part)).map(
    (edit): Hunk => ({
      before: { from: edit.beforeLine, to: edit.beforeLine + linesIn(edit.before) },
      after: { from: edit.afterLine, to: edit.afterLine + linesIn(edit.after) },
    }),
  );
  const last = { before: old < 0 ? 0 : before.lineCount(old), after: after.lineCount(part) };
  return grouped(hunks).flatMap((group) => printGroup(group, last, before, old, after, part));
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

function printGroup(
  group: readonly Hunk[],
  last: { readonly before: number; readonly after: number },
  before: Document,
  old: number,
  after: Document,
  part: number,
): string[] {
  const [first, end] = [group[0]!, group.at(-1)!];
  const lead = Math.min(CONTEXT, first.before.from - 1);
  const trail = Math.min(CONTEXT, last.before - end.before.to + 1);
  const stretch = (side: "before" | "after") => {
    const from = first[side].from - lead;
    const count = end[side].to + trail - from;
    return `${count === 0 ? from - 1 : from},${count}`;
  };
  const lines = [`@@ -${stretch("before")} +${stretch("after")} @@`];
  let at = first.before.from - lead;
  const keep = (to: number) => {
    for (; at < to; at++) lines.push(` ${shownLine(before, old, at)}`);
  };
  for (const hunk of group) {
    keep(hunk.before.from);
    for (; at < hunk.before.to; at++) lines.push(`-${shownLine(before, old, at)}`);
    for (let line = hunk.after.from; line < hunk.after.to; line++)
      lines.push(`+${shownLine(after, part, line)}`);
  }
  keep(end.before.to + trail);
  return lines;
}

function linesIn(bytes: Uint8Array): number {
  let lines = 0;
  for (const byte of bytes) if (byte === 10) lines++;
  return bytes.length > 0 && bytes.at(-1) !== 10 ? lines + 1 : lines;
}
