import { execFileSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Bench, Measurement } from "../../scripts/bench/bench.ts";
import { configGrammar } from "../../src/grammar/config-grammar.ts";
import { editSection } from "../../src/grammar/edit-section.ts";
import { sectionMessage } from "../../src/grammar/section-message.ts";
import type { Fields } from "../../src/grammar/slot.ts";
import { Document } from "../../src/text/document.ts";
import { splitLines } from "../../src/text/source.ts";
import type { Word } from "../../src/text/word.ts";
import { lexWords } from "../../src/text/words.ts";
import { createdServer, literalServer, parseServer } from "./hand-written.ts";
import { interleaved } from "./interleaved.ts";
import { serversText } from "./servers.ts";

const LINES = 2_000;
const ROUNDS = 15;
/** How often a short call is made in one round. */
const TIMES = 200;

const codec = configGrammar().section("backend")!;

/** haproxy.cfg as messages: what it costs to read a line, a section, and to change one; and the start. */
export const measureLines: Bench = async ({ log }) => {
  log("grammar: lines");
  const rows = [...measureServerLines()];
  log("grammar: sections");
  rows.push(...measureSections());
  log("grammar: start");
  rows.push(measureStart());
  return rows;
};

/** Words of server lines, as the text layer gives them. */
function serverWords(): (readonly Word[])[] {
  const { bytes, starts } = splitLines(Buffer.from(serversText(LINES, LINES)));
  const lines: (readonly Word[])[] = [];
  for (let i = 0; i + 1 < starts.length; i++) {
    const { words } = lexWords(bytes, starts[i]!, starts[i + 1]!);
    if (words[0]?.value === "server") lines.push(words);
  }
  return lines;
}

function measureServerLines(): Measurement[] {
  const lines = serverWords();
  const readAll = () => lines.map((words) => codec.read(words, "backend"));
  const read = readAll();
  const times = interleaved(ROUNDS, {
    codec: readAll,
    handWritten: () => lines.map((words) => parseServer(createdServer, words)),
    literal: () => lines.map((words) => parseServer(literalServer, words)),
    write: () => read.map((line) => line.kind === "typed" && line.directive.write(line.value, undefined)),
  });
  const perLine = (time: number) => (time / lines.length) * 1e6;
  return [
    {
      case: "server line to message / parser of that line written by hand",
      value: perLine(times.codec),
      unit: "ns",
      bound: perLine(times.handWritten),
      target: 1.3,
      expectedBound: 3000,
    },
    {
      case: "server line to message / the same with the message as a literal",
      value: perLine(times.codec),
      unit: "ns",
      bound: perLine(times.literal),
    },
    { case: "message to server line", value: perLine(times.write), unit: "ns" },
  ];
}

function documentOf(servers: number, perBackend: number): Document {
  return Document.parse([{ path: "haproxy.cfg", bytes: Buffer.from(serversText(servers, perBackend)) }]);
}

/** Gets backends of ten servers, each for the first time: what was read before would be found again. */
class Reader {
  readonly #documents: readonly Document[];
  readonly #backends: number;
  #next = 0;

  /** So many backends, in so many documents. */
  constructor(backends: number, documents: number) {
    this.#backends = backends / documents;
    this.#documents = Array.from({ length: documents }, () => documentOf(this.#backends * 10, 10));
    // The index of a document is made when it is first asked.
    for (const document of this.#documents) document.find("backend", "none");
  }

  get(): Fields {
    const document = this.#documents[Math.floor(this.#next / this.#backends)]!;
    const [section] = document.find("backend", `b${this.#next++ % this.#backends}`);
    return sectionMessage(codec, section!, { children: true, secrets: false });
  }
}

/** Changes the weight of one server of a backend through its message, again and again. */
class Editor {
  #document: Document;
  readonly #message: Fields;
  #weight = 0;

  constructor(servers: number) {
    this.#document = documentOf(servers, 10);
    this.#message = sectionMessage(codec, this.#section(), { children: true, secrets: true });
  }

  #section() {
    return this.#document.find("backend", "b0")[0]!;
  }

  edit(): void {
    this.#weight = (this.#weight + 1) % 256;
    const [first, ...rest] = this.#message.servers as Fields[];
    const message = { ...this.#message, servers: [{ ...first!, weight: this.#weight }, ...rest] };
    this.#document = editSection(this.#document, this.#section(), codec, message, {
      fields: new Set([codec.desc.field.servers!]),
    }).document;
  }
}

function measureSections(): Measurement[] {
  const [few, many] = [new Reader(7_000, 70), new Reader(7_000, 1)];
  const [small, large] = [new Editor(100), new Editor(70_000)];
  const one = documentOf(50_000, 50_000);
  const repeat = (work: () => unknown) => () => {
    for (let i = 0; i < TIMES; i++) work();
  };
  const times = interleaved(ROUNDS, {
    few: repeat(() => few.get()),
    many: repeat(() => many.get()),
    small: repeat(() => small.edit()),
    large: repeat(() => large.edit()),
    // The backend itself, without its 50,000 servers: they are resources of their own.
    alone: () => sectionMessage(codec, one.find("backend", "b0")[0]!, { children: false, secrets: false }),
  });
  const micros = (time: number) => (time / TIMES) * 1000;
  return [
    {
      case: "get one backend of 7,000 / of 100, ten servers in each",
      value: micros(times.many),
      unit: "µs",
      bound: micros(times.few),
      target: 2,
      expectedBound: 100,
    },
    {
      case: "change one server by its backend's message, of 70,000 / of 100",
      value: micros(times.large),
      unit: "µs",
      bound: micros(times.small),
      target: 2,
      expectedBound: 200,
    },
    { case: "get a backend without its 50,000 servers, read before", value: times.alone, unit: "ms" },
  ];
}

/** Compiling the grammar in a fresh process, in CPU time: the best of a few, since a first start has cold files. */
function measureStart(): Measurement {
  const script = fileURLToPath(new URL("compile-time.ts", import.meta.url));
  const runs = Array.from({ length: 5 }, () =>
    Number(execFileSync(process.execPath, [script], { encoding: "utf8" })),
  );
  return {
    case: "compile all descriptors at start / 150 ms",
    value: Math.min(...runs),
    unit: "ms",
    bound: 150,
    target: 1,
  };
}
