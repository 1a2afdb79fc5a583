import { isAbsolute, join, normalize } from "node:path/posix";
import type { Document } from "../text/document.ts";
import type { Line } from "../text/line.ts";
import type { Section } from "../text/section.ts";
import { chunkHolds } from "./chunk-holds.ts";
import { namedSections, writeResourceId } from "./locate.ts";

/** A line of the configuration that names a file or a directory. */
export interface FileReference {
  /** Absolute, as the line and the base directories of `global` say. */
  readonly path: string;
  /** The line's first word. */
  readonly directive: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** Name of the section; empty for lines that belong to none. */
  readonly resource: string;
  /** The converter whose argument it is, such as `map_beg`; empty for others. */
  readonly converter: string;
}

/** Words whose value a base directory of `global` completes (configuration manual, `crt-base`, `ca-base`). */
const BASES: Readonly<Record<string, readonly string[]>> = {
  "crt-base": ["crt", "default-crt"],
  "ca-base": ["ca-file", "ca-verify-file", "crl-file"],
};

/** A path as an argument: `map_beg(/etc/haproxy/maps/hosts.map,none)`. */
const ARGUMENT = /([a-z0-9_.]*)\(\s*(\/[^,()\s]+)/g;

/** The lines that name something in or below one of some directories, or one of them. Every word counts, whether the grammar knows its line or not. */
export function fileReferences(document: Document, directories: readonly string[]): readonly FileReference[] {
  const bases = basesOf(document);
  const needles = [...directories, ...bases.keys()].map((text) => Buffer.from(text));
  const isWanted = (path: string) =>
    directories.some((directory) => path === directory || path.startsWith(`${directory}/`));
  const resources = new Map<Section, string>();
  for (const { kind, id, section } of namedSections(document))
    resources.set(section, writeResourceId({ kind, section: id, child: undefined }));

  const found: FileReference[] = [];
  for (const section of document.sections()) {
    let first = 0;
    for (const chunk of section.lines.chunks) {
      if (needles.some((needle) => chunkHolds(chunk, needle))) {
        for (let offset = 0; offset < chunk.length; offset++) {
          const line = chunk.at(offset);
          for (const named of pathsOf(line, bases)) {
            if (!isWanted(named.path)) continue;
            const position = document.positionOf(section, first + offset);
            found.push({
              path: named.path,
              converter: named.converter,
              directive: line.words[0]?.value ?? "",
              file: document.parts[position.part]!.path,
              line: position.line,
              resource: resources.get(section) ?? "",
            });
          }
        }
      }
      first += chunk.length;
    }
  }
  return found;
}

/** A path that a line names. */
export interface NamedPath {
  /** Absolute and normal. */
  readonly path: string;
  /** The converter whose argument it is; empty for others. */
  readonly converter: string;
  /** The word's place in the line. */
  readonly word: number;
  /** What stands for the path in the word. */
  readonly text: string;
}

/** The absolute paths that a line names, and those that a base directory completes. */
export function* pathsOf(line: Line, bases: Bases): Generator<NamedPath> {
  let before = "";
  // What completes other paths uses nothing of a directory itself.
  if (line.firstWords(1)[0]?.value.endsWith("-base")) return;
  for (const [word, { value }] of line.words.entries()) {
    const base = bases.get(before);
    before = value;
    const whole = { converter: "", word, text: value };
    if (isAbsolute(value)) yield { path: withoutSlash(normalize(value)), ...whole };
    else if (base !== undefined) yield { path: withoutSlash(join(base, value)), ...whole };
    for (const [, converter = "", path = ""] of value.matchAll(ARGUMENT))
      yield { path: normalize(path), converter, word, text: path };
  }
}

/** By what the value behind a word is completed. */
export type Bases = ReadonlyMap<string, string>;

/** The base directories that `global` sets. */
export function basesOf(document: Document): Bases {
  const bases = new Map<string, string>();
  for (const section of document.list("global"))
    for (const [directive, words] of Object.entries(BASES))
      for (const line of section.lines) {
        const [first, base] = line.firstWords(2);
        if (first?.value === directive && base !== undefined)
          for (const word of words) bases.set(word, base.value);
      }
  return bases;
}

function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}
