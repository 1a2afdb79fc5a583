import { dirname, isAbsolute, normalize } from "node:path/posix";
import type { Document } from "../text/document.ts";
import { replaceLine } from "../text/edit.ts";
import type { Line } from "../text/line.ts";
import { rewriteLine } from "../text/rewrite.ts";
import type { Section } from "../text/section.ts";
import { chunkHolds } from "./chunk-holds.ts";
import { type Bases, basesOf, type FileReference, type NamedPath, pathsOf } from "./file-references.ts";
import { namedSections, writeResourceId } from "./locate.ts";

/** A word that names one of some paths. */
export interface FileWord {
  readonly section: Section;
  /** The line's place in the section. */
  readonly line: number;
  /** Which of the paths it names. */
  readonly path: string;
  /** The word's place in the line, and the text in it that stands for the path. */
  readonly word: number;
  readonly text: string;
}

/**
 * The words of a configuration that name exactly one of some absolute paths, of files or of directories. Where a relative path begins, or one that begins with a reference to the environment, is only known to
 * the HAProxy that reads it: one that a path ends in is taken to name it, for to read a file once too often does no harm.
 */
export function fileWords(document: Document, paths: readonly string[]): readonly FileWord[] {
  const bases = basesOf(document);
  const needles = paths.map((path) => Buffer.from(path.slice(path.lastIndexOf("/") + 1)));
  const found: FileWord[] = [];
  for (const section of document.sections()) {
    let first = 0;
    for (const chunk of section.lines.chunks) {
      if (needles.some((needle) => chunkHolds(chunk, needle)))
        for (let offset = 0; offset < chunk.length; offset++)
          for (const { path, ...named } of wordsNaming(chunk.at(offset), bases, paths))
            found.push({ ...named, path, section, line: first + offset });
      first += chunk.length;
    }
  }
  return found;
}

/** The lines of a configuration that name some files, by their paths. */
export function linesNaming(
  document: Document,
  paths: readonly string[],
): ReadonlyMap<string, readonly FileReference[]> {
  const resources = new Map<Section, string>();
  for (const { kind, id, section } of namedSections(document))
    resources.set(section, writeResourceId({ kind, section: id, child: undefined }));
  const found = new Map<string, FileReference[]>(paths.map((path) => [path, []]));
  for (const { section, line: index, path } of fileWords(document, paths)) {
    const { part, line } = document.positionOf(section, index);
    found.get(path)!.push({
      ...{ path, line, converter: "", file: document.parts[part]!.path },
      directive: section.lines.at(index)!.words[0]?.value ?? "",
      resource: resources.get(section) ?? "",
    });
  }
  return found;
}

/** Those of some files that a configuration names, themselves or by the directory that they lie in. */
export function filesNamed(document: Document, files: readonly string[]): readonly string[] {
  const directories = [...new Set(files.map((path) => dirname(path)))];
  const named = new Set(fileWords(document, [...files, ...directories]).map(({ path }) => path));
  return files.filter((path) => named.has(path) || named.has(dirname(path)));
}

/** The document with other paths in the place of those that it names; what no word names stays out of it. */
export function withPaths(document: Document, paths: ReadonlyMap<string, string>): Document {
  const words = fileWords(document, [...paths.keys()]);
  const byLine = Map.groupBy(words, ({ section }) => section);
  let result = document;
  for (const [section, inSection] of byLine) {
    let current = section;
    for (const [index, inLine] of Map.groupBy(inSection, ({ line }) => line)) {
      const line = current.lines.at(index)!;
      const values = line.words.map(({ value }) => value);
      for (const { word, text, path } of inLine)
        values[word] = values[word]!.replace(text, () => paths.get(path)!);
      const rewritten = rewriteLine(line, values);
      if (!rewritten.ok) continue;
      const edited = replaceLine(result, current, index, rewritten.line);
      result = edited.document;
      current = edited.section;
    }
  }
  return result;
}

function* wordsNaming(
  line: Line,
  bases: Bases,
  paths: readonly string[],
): Generator<Pick<NamedPath, "path" | "word" | "text">> {
  for (const { path, word, text } of pathsOf(line, bases))
    if (paths.includes(path)) yield { path, word, text };
  for (const [word, { value, reference }] of line.words.entries()) {
    if (word === 0 || isAbsolute(value) || bases.has(line.words[word - 1]!.value)) continue;
    const isPath = /[./]/.test(value) || isConfigOfSpoe(line, word);
    const ending = reference ? afterEnvironment(value) : isPath ? `/${normalize(value)}` : undefined;
    if (ending === undefined) continue;
    for (const path of paths) if (path.endsWith(ending)) yield { path, word, text: value };
  }
}

/** A word that is a path whatever it looks like: `filter spoe engine e config e`. */
function isConfigOfSpoe({ words }: Line, word: number): boolean {
  return words[0]?.value === "filter" && words[1]?.value === "spoe" && words[word - 1]?.value === "config";
}

/** What is known of a path that begins in the environment: `/e.conf` of `${DIR}/e.conf`. Undefined when that is less than the name of a file. */
function afterEnvironment(value: string): string | undefined {
  const rest = value.slice(value.lastIndexOf("}") + 1);
  return /\/[^/]+$/.test(rest) ? rest : undefined;
}
