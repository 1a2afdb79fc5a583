import { DomainError } from "../lib/errors.ts";
import type { PatternEntry } from "./live.ts";
import { linesOf, type PatternKind, readPatternLine, writePatternLine } from "./pattern-lines.ts";

/** A change of the entries of one key. */
export type EntryEdit =
  | { readonly kind: "add"; readonly entry: PatternEntry }
  | { readonly kind: "set"; readonly entry: PatternEntry; readonly allowMissing: boolean }
  | { readonly kind: "delete"; readonly key: string };

/** The text with a change made; every line that is not meant stays as it is, comments included. Throws `RESOURCE_EXISTS`, `RESOURCE_NOT_FOUND`, `FIELD_INVALID`. */
export function editPatterns(kind: PatternKind, text: string, edit: EntryEdit): string {
  const key = edit.kind === "delete" ? edit.key : edit.entry.key;
  const lines = linesOf(text);
  const isMeant = (line: string) => readPatternLine(kind, line)?.key === key;
  const isThere = lines.some(isMeant);
  if (edit.kind === "delete") {
    if (!isThere) throw missing(key);
    return join(lines.filter((line) => !isMeant(line)));
  }
  const line = writePatternLine(kind, edit.entry);
  if (edit.kind === "add" && isThere)
    throw new DomainError("RESOURCE_EXISTS", `there is an entry of the key "${key}"`, {
      resource: { type: "map entry", name: key },
    });
  if (isThere) return join(lines.map((one) => (isMeant(one) ? withValue(one, edit.entry.value) : one)));
  if (edit.kind === "set" && !edit.allowMissing) throw missing(key);
  return join([...lines, line]);
}

/**
 * The text with the entries that the running HAProxy has: lines whose entry is there stay as they are, those of other values get them, the rest goes, what is new comes last. Comments stay, each in front of the entry
 * it stood before when HAProxy has another order. The same text when nothing differs. Throws `FIELD_INVALID` for an entry that no line can say.
 */
export function mergePatterns(kind: PatternKind, text: string, loaded: readonly PatternEntry[]): string {
  const original = linesOf(text);
  const rest = Map.groupBy(loaded, ({ key }) => key);
  const blocks: { entry: PatternEntry | undefined; lines: string[] }[] = [];
  let before: string[] = [];
  for (const line of original) {
    const own = readPatternLine(kind, line);
    if (own === undefined) {
      before.push(line);
      continue;
    }
    const entry = rest.get(own.key)?.shift();
    if (entry === undefined) continue;
    blocks.push({
      entry,
      lines: [...before, entry.value === own.value ? line : withValue(line, entry.value)],
    });
    before = [];
  }
  const left = new Set([...rest.values()].flat());
  for (const entry of loaded)
    if (left.has(entry)) blocks.push({ entry, lines: [writePatternLine(kind, entry)] });

  const places = new Map(loaded.map((entry, index) => [entry, index]));
  const placeOf = ({ entry }: (typeof blocks)[number]) => places.get(entry!) ?? 0;
  const isInOrder = blocks.every(
    (block, index) => index === 0 || placeOf(blocks[index - 1]!) < placeOf(block),
  );
  if (!isInOrder) blocks.sort((a, b) => placeOf(a) - placeOf(b));
  const lines = [...blocks.flatMap((block) => block.lines), ...before];
  const isSame = lines.length === original.length && lines.every((line, index) => line === original[index]);
  return isSame ? text : join(lines);
}

/** A map's line with another value; what stands around it stays. */
function withValue(line: string, value: string): string {
  const [, head = "", blank = "", end = ""] = /^([ \t]*[^ \t\r]+)([ \t]*)[^\r]*?(\r?)$/.exec(line) ?? [];
  if (value === "") return `${head}${end}`;
  const written = `${head}${blank === "" ? " " : blank}${value}`;
  const read = readPatternLine("map", written);
  if (read?.value !== value) writePatternLine("map", { key: head.trim(), value });
  return `${written}${end}`;
}

function join(lines: readonly string[]): string {
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

function missing(key: string): DomainError {
  return new DomainError("RESOURCE_NOT_FOUND", `there is no entry of the key "${key}"`, {
    resource: { type: "map entry", name: key },
  });
}
