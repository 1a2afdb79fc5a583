import { isIP } from "node:net";
import type { Document } from "../text/document.ts";
import type { Section } from "../text/section.ts";
import { sectionReader } from "./section-lines.ts";
import { type ConfiguredServer, fixedWords, serversOf } from "./server.ts";

/** A section in two documents, or in one of them. */
export interface SectionPair {
  readonly keyword: string;
  readonly name: string;
  readonly before: Section | undefined;
  readonly after: Section | undefined;
}

/** What differs between two documents in meaning: comments, blanks and spelling do not count. */
export interface DocumentDiff {
  /** Sections that are not the same in both. */
  readonly sections: readonly SectionPair[];
  /** The sections that both have stand in another order. */
  readonly reordered: boolean;
}

/** Compares two documents section by section. Those that they share are not looked into, so that the cost follows the change. */
export function diffDocuments(before: Document, after: Document): DocumentDiff {
  const old = keyed(before.sectionsApartFrom(after));
  const sections: SectionPair[] = [];
  const order: string[] = [];
  for (const [key, section] of keyed(after.sectionsApartFrom(before))) {
    const former = old.get(key);
    if (former !== undefined) order.push(key);
    if (former === section || (former !== undefined && sameMeaning(former, section))) continue;
    sections.push({ keyword: section.keyword, name: section.name, before: former, after: section });
  }
  const common = new Set(order);
  const formerOrder: string[] = [];
  for (const [key, section] of old) {
    if (common.has(key)) formerOrder.push(key);
    else sections.push({ keyword: section.keyword, name: section.name, before: section, after: undefined });
  }
  return { sections, reordered: formerOrder.some((key, index) => key !== order[index]) };
}

/** A line of a section that differs. */
export interface DifferingLine {
  /** Whether lines that begin so are in the second version only, in the first only, or in both. */
  readonly verb: "adds" | "removes" | "changes";
  /** What it begins with. */
  readonly line: string;
}

/** How the servers of a section differ. */
export interface ServerDiff {
  readonly added: readonly ConfiguredServer[];
  readonly removed: readonly ConfiguredServer[];
  readonly changed: readonly { readonly before: ConfiguredServer; readonly after: ConfiguredServer }[];
  /** Lines other than servers that differ. */
  readonly otherLines: readonly DifferingLine[];
  /** The servers that both have stand in another order, or a `default-server` line stands elsewhere among them. */
  readonly reordered: boolean;
}

/** Compares the servers, and all else, of two versions of a section. */
export function diffServers(before: Section, after: Section): ServerDiff {
  const old = new Map(serversOf(before).map((server) => [server.name, server]));
  const now = serversOf(after);
  const names = new Set(now.map(({ name }) => name));
  const common = now.filter(({ name }) => old.has(name));
  const formerCommon = [...old.keys()].filter((name) => names.has(name));
  return {
    added: now.filter(({ name }) => !old.has(name)),
    removed: [...old.values()].filter(({ name }) => !names.has(name)),
    changed: common
      .map((server) => ({ before: old.get(server.name)!, after: server }))
      .filter(({ before: a, after: b }) => !sameServer(a, b)),
    otherLines: differingLines(otherLines(before), otherLines(after)),
    reordered:
      common.some(({ name }, index) => name !== formerCommon[index]) || sameMarks(before, after) === false,
  };
}

/** Whether two servers differ in nothing but what the running HAProxy takes by command: address and port, weight, administrative state. */
export function differsAtRuntimeOnly(before: ConfiguredServer, after: ConfiguredServer): boolean {
  const moves = before.address !== after.address || before.port !== after.port;
  if (
    moves &&
    (isIP(before.address) === 0 || isIP(after.address) === 0 || before.port === 0 || after.port === 0)
  )
    return false;
  return fixedWords(before).join("\0") === fixedWords(after).join("\0");
}

/** Whether two lines say the same of a server. */
export function sameServer(a: ConfiguredServer, b: ConfiguredServer): boolean {
  return a.address === b.address && a.port === b.port && a.words.join("\0") === b.words.join("\0");
}

function keyed(found: Iterable<Section>): Map<string, Section> {
  const sections = new Map<string, Section>();
  for (const section of found) {
    const base = `${section.keyword} ${section.name}`;
    let key = base;
    for (let repeated = 2; sections.has(key); repeated++) key = `${base}#${repeated}`;
    sections.set(key, section);
  }
  return sections;
}

/** The lines of a section that say something, the header among them, servers apart, as their words. */
const otherLines = sectionReader((line) => {
  const words = line.words.map((word) => word.value);
  return words.length === 0 || words[0] === "server" ? undefined : words;
});

/** Servers and `default-server` lines in their order: a `default-server` holds for those below it. */
const marks = sectionReader((line) => {
  const [first, second] = line.words;
  if (first?.value === "default-server") return "";
  return first?.value === "server" ? second?.value : undefined;
});

function sameMeaning(a: Section, b: Section): boolean {
  const [left, right] = [meaning(a), meaning(b)];
  return left.length === right.length && left.every((line, index) => line === right[index]);
}

const meaning = sectionReader((line) => {
  const { words, error } = line;
  if (error !== undefined) return line.text;
  return words.length === 0 ? undefined : words.map((word) => word.value).join("\0");
});

/** Whether each server that both versions have stands below as many `default-server` lines. */
function sameMarks(before: Section, after: Section): boolean {
  const depth = (section: Section) => {
    const depths = new Map<string, number>();
    let above = 0;
    for (const mark of marks(section)) {
      if (mark === "") above += 1;
      else if (mark !== undefined) depths.set(mark, above);
    }
    return { depths, above };
  };
  const [old, now] = [depth(before), depth(after)];
  for (const [name, above] of now.depths) {
    const former = old.depths.get(name);
    // A new server is told every `default-server` line of its section, so it has to stand below all of them.
    if (former === undefined ? above !== now.above : above !== former) return false;
  }
  return true;
}

function differingLines(before: readonly string[][], after: readonly string[][]): DifferingLine[] {
  const [old, now] = [before.map((words) => words.join("\0")), after.map((words) => words.join("\0"))];
  if (old.length === now.length && old.every((line, index) => line === now[index])) return [];
  const [oldSet, nowSet] = [new Set(old), new Set(now)];
  const beginOf = (words: readonly string[]) => words.slice(0, 2).join(" ");
  const gone = new Set(before.filter((_, i) => !nowSet.has(old[i]!)).map(beginOf));
  const come = new Set(after.filter((_, i) => !oldSet.has(now[i]!)).map(beginOf));
  if (gone.size + come.size === 0) return [{ verb: "changes", line: "the order of lines" }];
  return [...new Set([...gone, ...come])].map((line) => {
    if (!gone.has(line)) return { verb: "adds", line };
    return { verb: come.has(line) ? "changes" : "removes", line };
  });
}
