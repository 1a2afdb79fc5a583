import { isBlank, type LineWords, lexWords } from "./words.ts";

/** The words that start a section of haproxy.cfg, HAProxy 2.6 to 3.4. */
export const CONFIG_SECTIONS: ReadonlySet<string> = new Set([
  "acme",
  "backend",
  "cache",
  "crt-store",
  "defaults",
  "fcgi-app",
  "frontend",
  "global",
  "healthcheck",
  "http-errors",
  "listen",
  "log-forward",
  "log-profile",
  "mailers",
  "namespace_list",
  "peers",
  "program",
  "resolvers",
  "ring",
  "traces",
  "userlist",
]);

/** The words that start a section of a SPOE file. */
export const SPOE_SECTIONS: ReadonlySet<string> = new Set(["spoe-agent", "spoe-group", "spoe-message"]);

/**
 * What a line is to the structure of a file: the header of a section, a part of a conditional block, a `[scope]`
 * line, or another line that starts with a dot (`.notice` and its like, or one that HAProxy does not know).
 */
export type StructureKind = "section" | "if" | "elif" | "else" | "endif" | "scope" | "message";

/** A line that shapes the file. */
export interface StructureLine {
  readonly kind: StructureKind;
  readonly words: LineWords;
}

const CONDITIONALS: Readonly<Record<string, StructureKind>> = {
  ".if": "if",
  ".elif": "elif",
  ".else": "else",
  ".endif": "endif",
};

const DOT = 46;
const BRACKET = 91;
const QUOTES = [34, 39, 92];

/** Tells which lines shape a file, given the words that start a section. */
export class StructureReader {
  readonly sections: ReadonlySet<string>;
  /** For each first byte: 1 when a line that starts with it may shape the file. */
  readonly #candidates = new Uint8Array(256);

  constructor(sections: ReadonlySet<string>) {
    this.sections = sections;
    this.#candidates[DOT] = 1;
    this.#candidates[BRACKET] = 1;
    for (const quote of QUOTES) this.#candidates[quote] = 1;
    for (const keyword of sections) this.#candidates[keyword.charCodeAt(0)] = 1;
  }

  /** The structure that the line from `start` to `end` makes, if any. */
  read(bytes: Buffer, start: number, end: number): StructureLine | undefined {
    let at = start;
    while (at < end && isBlank(bytes[at]!)) at++;
    if (at === end) return undefined;
    const first = bytes[at]!;
    if (this.#candidates[first] === 0) return undefined;
    return this.#judge(bytes, start, at, end, first);
  }

  #judge(bytes: Buffer, start: number, at: number, end: number, first: number): StructureLine | undefined {
    if (first === BRACKET) return { kind: "scope", words: lexWords(bytes, start, end) };
    let stop = at + 1;
    let quoted = first === 34 || first === 39 || first === 92;
    while (stop < end) {
      const byte = bytes[stop]!;
      if (isBlank(byte) || byte === 35 || byte === 0) break;
      if (byte === 34 || byte === 39 || byte === 92) quoted = true;
      stop++;
    }
    if (quoted) {
      const words = lexWords(bytes, start, end);
      const word = words.words[0];
      const kind = word === undefined || word.reference ? undefined : this.#kindOf(word.value);
      return kind === undefined ? undefined : { kind, words };
    }
    const kind = this.#kindOf(bytes.toString("latin1", at, stop));
    return kind === undefined ? undefined : { kind, words: lexWords(bytes, start, end) };
  }

  #kindOf(word: string): StructureKind | undefined {
    if (word.charCodeAt(0) === DOT) return CONDITIONALS[word] ?? "message";
    return this.sections.has(word) ? "section" : undefined;
  }
}
