import { Document } from "../text/document.ts";
import { deleteLines, insertLines } from "../text/edit.ts";
import { insertSection } from "../text/edit-sections.ts";
import { ownEnd, placeBehindBlock } from "../text/extent.ts";
import type { LineText } from "../text/line-text.ts";
import type { Section } from "../text/section.ts";
import type { Owns } from "./desired-changes.ts";
import { backendSection, SERVER_SECTIONS } from "./server.ts";

/**
 * What a configuration is to be when it is made what it once was: the former document, in which the backends of service discovery have their present servers, since those follow a registry and
 * not the history. Backends that discovery made since stay. Returns the present document itself when there is nothing to change.
 */
export function rolledBack(former: Document, present: Document, owns: Owns): Document {
  let result = former;
  for (const section of present.list(...SERVER_SECTIONS)) {
    if (!owns(section.name) || backendSection(present, section.name) !== section) continue;
    const target = backendSection(result, section.name);
    if (target !== undefined) result = withServersOf(result, target, section);
    else if (result.find(SERVER_SECTIONS, section.name).length === 0) result = withSection(result, section);
  }
  const same = result.parts.every((_, part) => result.print(part).equals(present.print(part)));
  return same ? present : result;
}

/** The section with the server lines of another, where its own stood. */
function withServersOf(document: Document, target: Section, source: Section): Document {
  const old = serverLines(target);
  const lines = serverLines(source).map((index) => textOf(source, index));
  if (old.length === lines.length && old.every((index, i) => textOf(target, index).equals(lines[i]!)))
    return document;
  let edited = { document, section: target };
  for (const index of old.toReversed()) edited = deleteLines(edited.document, edited.section, index, 1);
  const place = placeBehindBlock(edited.section, old[0] ?? ownEnd(edited.section));
  return insertLines(edited.document, edited.section, place, lines.map(trimmed)).document;
}

function withSection(document: Document, source: Section): Document {
  const lines: LineText[] = [];
  for (let index = 1; index < ownEnd(source); index++) {
    const line = source.lines.at(index)!;
    if (!line.empty) lines.push(trimmed(textOf(source, index)));
  }
  const last = document.lastOf("backend");
  const placement = last === undefined ? { endOf: document.parts.length - 1 } : { after: last };
  return insertSection(document, placement, textOf(source, 0), lines).document;
}

function serverLines(section: Section): number[] {
  const found: number[] = [];
  let index = 0;
  for (const line of section.lines) {
    if (line.firstWords(1)[0]?.value === "server" && index > 0) found.push(index);
    index++;
  }
  return found;
}

function textOf(section: Section, index: number): Buffer {
  const { bytes, newline } = section.lines.at(index)!;
  return bytes.subarray(0, bytes.length - newline.length);
}

/** Lines are indented anew where they go. */
function trimmed(text: Buffer): Buffer {
  let at = 0;
  while (at < text.length && (text[at] === 32 || text[at] === 9)) at++;
  return text.subarray(at);
}

/** A document of the files that another has, with other content; files without new content keep theirs. */
export function withContent(document: Document, content: ReadonlyMap<string, Buffer>): Document {
  return Document.parse(
    document.parts.map(({ path }, part) => ({ path, bytes: content.get(path) ?? document.print(part) })),
  );
}
