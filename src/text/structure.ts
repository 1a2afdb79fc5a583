import { isBlank } from "./bytes.ts";
import { lexWords } from "./words.ts";

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
  /** The first word: the section keyword, or the word with the dot. Empty for a scope line. */
  readonly keyword: string;
}

const CONDITIONALS: Readonly<Record<string, StructureKind>> = {
  ".if": "if",
  ".elif": "elif",
  ".else": "else",
  ".endif": "endif",
};

const HASH = 35;
const DOT = 46;
const BRACKET = 91;
const QUOTES = [34, 39, 92];

/** Tells which lines shape a file, given the words that start a section. */
export class StructureReader {
  readonly sections: ReadonlySet<string>;
  /** For each first byte the words that may follow, or an empty list for bytes that need a closer look. */
  readonly #candidates: (readonly Candidate[] | undefined)[] = new Array(256).fill(undefined);

  constructor(sections: ReadonlySet<string>) {
    this.sections = sections;
    for (const byte of [DOT, BRACKET, ...QUOTES]) this.#candidates[byte] = [];
    for (const keyword of sections) {
      const first = keyword.charCodeAt(0);
      this.#candidates[first] = [
        ...(this.#candidates[first] ?? []),
        { bytes: Buffer.from(keyword), line: { kind: "section", keyword } },
      ];
    }
  }

  /** The structure that the line from `start` to `end` makes, if any. */
  read(bytes: Buffer, start: number, end: number): StructureLine | undefined {
    let at = start;
    let first = bytes[at]!;
    while (at < end && (first === 32 || (first >= 9 && first <= 13))) first = bytes[++at]!;
    if (at === end) return undefined;
    const candidates = this.#candidates[first];
    return candidates === undefined ? undefined : this.#judge(bytes, start, at, end, candidates);
  }

  #judge(
    bytes: Buffer,
    start: number,
    at: number,
    end: number,
    candidates: readonly Candidate[],
  ): StructureLine | undefined {
    if (bytes[at] === BRACKET) return SCOPE;
    let stop = at;
    let quoted = false;
    while (stop < end) {
      const byte = bytes[stop]!;
      if (byte <= HASH && (isBlank(byte) || byte === HASH || byte === 0)) break;
      if (byte === 34 || byte === 39 || byte === 92) quoted = true;
      stop++;
    }
    if (quoted || bytes[at] === DOT) {
      const [word] = lexWords(bytes, start, end, 1).words;
      return word === undefined || word.reference ? undefined : this.#lineOf(word.value);
    }
    for (const candidate of candidates)
      if (candidate.bytes.length === stop - at && matches(bytes, at, candidate.bytes)) return candidate.line;
    return undefined;
  }

  #lineOf(word: string): StructureLine | undefined {
    if (word.charCodeAt(0) === DOT) return { kind: CONDITIONALS[word] ?? "message", keyword: word };
    return this.sections.has(word) ? { kind: "section", keyword: word } : undefined;
  }
}

interface Candidate {
  readonly bytes: Buffer;
  readonly line: StructureLine;
}

const SCOPE: StructureLine = { kind: "scope", keyword: "" };

function matches(bytes: Buffer, at: number, word: Buffer): boolean {
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word[i]) return false;
  return true;
}
