import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Bench, Measurement } from "../../scripts/bench/bench.ts";
import { Document } from "../../src/text/document.ts";
import { replaceLine } from "../../src/text/edit.ts";
import { rewriteLine } from "../../src/text/rewrite.ts";
import { splitLines } from "../../src/text/source.ts";
import { lexWords } from "../../src/text/words.ts";
import { interleaved } from "./interleaved.ts";
import { serversText } from "./servers.ts";

const SERVERS = 70_000;
const PER_BACKEND = 10;
const ROUNDS = 15;
const EDITS = 2000;

/** haproxy.cfg as text: what it costs to split, to read words, to print, to edit, and to keep. */
export const measureText: Bench = async ({ directory, log }) => {
  const path = join(directory, "servers.cfg");
  writeFileSync(path, serversText(SERVERS, PER_BACKEND));
  const rows: Measurement[] = [];
  log("text: sections, words, print");
  rows.push(...measureReading(path));
  log("text: edits");
  rows.push(...measureEdits());
  log("text: memory");
  rows.push(measureMemory(path));
  return rows;
};

function measureReading(path: string): Measurement[] {
  const bytes = readFileSync(path);
  const megabytes = bytes.length / 1e6;
  const { starts } = splitLines(bytes);
  const lines = starts.length - 1;
  const document = Document.parse([{ path, bytes }]);
  const [section] = document.find("backend", "b3500");
  const edited = replaceLine(document, section!, 2, "    server x 10.0.0.1:80").document;
  const times = interleaved(ROUNDS, {
    sections: () => Document.parse([{ path, bytes: readFileSync(path) }]),
    newlines: () => countLines(readFileSync(path)),
    words: () => {
      let count = 0;
      for (let i = 0; i < lines; i++) count += lexWords(bytes, starts[i]!, starts[i + 1]!).words.length;
      return count;
    },
    bareWords: () => {
      let count = 0;
      for (let i = 0; i < lines; i++) count += bareWords(bytes, starts[i]!, starts[i + 1]!).length;
      return count;
    },
    print: () => edited.print(0),
    copy: () => Buffer.from(bytes),
  });
  const rate = (
    name: string,
    value: number,
    bound: number,
    target: number,
    expectedBound: number,
  ): Measurement => ({
    case: name,
    value: megabytes / (value / 1000),
    unit: "MB/s",
    bound: megabytes / (bound / 1000),
    target,
    better: "more",
    expectedBound,
  });
  return [
    rate(
      "read a file, split into sections and lines / count newlines",
      times.sections,
      times.newlines,
      0.5,
      1800,
    ),
    rate("words of each line / bare split at blanks", times.words, times.bareWords, 0.8, 150),
    rate("print after one edit / copy the bytes", times.print, times.copy, 0.5, 2000),
  ];
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count++;
  return count;
}

/** Words without quotes, escapes, comments or offsets. */
function bareWords(bytes: Buffer, start: number, end: number): string[] {
  const words: string[] = [];
  const text = bytes.toString("latin1", start, end);
  let at = start;
  while (at < end) {
    while (at < end && bytes[at]! <= 32) at++;
    const from = at;
    while (at < end && bytes[at]! > 32) at++;
    if (at > from) words.push(text.slice(from - start, at - start));
  }
  return words;
}

function measureEdits(): Measurement[] {
  const few = new EditedFile(10, PER_BACKEND);
  const spread = new EditedFile(100_000, PER_BACKEND);
  const single = new EditedFile(100_000, 100_000);
  const times = interleaved(ROUNDS * 3, {
    few: () => few.edit(),
    spread: () => spread.edit(),
    single: () => single.edit(),
  });
  const row = (name: string, value: number): Measurement => ({
    case: name,
    value: (value / EDITS) * 1000,
    unit: "µs",
    bound: (times.few / EDITS) * 1000,
    target: 2,
    expectedBound: 20,
  });
  return [
    row("find and change one server of 100,000, ten in each backend / of 10", times.spread),
    row("find and change one server of 100,000, all in one backend / of 10", times.single),
  ];
}

/** A document whose servers get another port, one at a time and in no order. */
class EditedFile {
  readonly #servers: number;
  readonly #perBackend: number;
  #document: Document;
  #next = 1;

  constructor(servers: number, perBackend: number) {
    this.#servers = servers;
    this.#perBackend = perBackend;
    this.#document = Document.parse([{ path: "a", bytes: Buffer.from(serversText(servers, perBackend)) }]);
  }

  edit(): void {
    for (let i = 0; i < EDITS; i++) {
      this.#next = (this.#next * 1103515245 + 12345) & 0x7fffffff;
      const server = (this.#next >> 8) % this.#servers;
      const [section] = this.#document.find("backend", `b${Math.floor(server / this.#perBackend)}`);
      const [index] = section!.lines.find("server", `s${server}`);
      const line = section!.lines.at(index!)!;
      const values = line.words.map((word) => word.value).with(2, `10.1.2.3:${1 + (this.#next % 65535)}`);
      const rewritten = rewriteLine(line, values);
      if (!rewritten.ok) throw new Error("the line could not be written");
      this.#document = replaceLine(this.#document, section!, index!, rewritten.line).document;
    }
  }
}

function measureMemory(path: string): Measurement {
  const script = fileURLToPath(new URL("text-memory.ts", import.meta.url));
  const output = execFileSync(process.execPath, ["--expose-gc", script, path], { encoding: "utf8" });
  const { before, after } = JSON.parse(output) as { before: number; after: number };
  return {
    case: "resident memory for a document, above an idle process / size of the file",
    value: (after - before) / 1e6,
    unit: "MB",
    bound: readFileSync(path).length / 1e6,
    target: 6,
  };
}
