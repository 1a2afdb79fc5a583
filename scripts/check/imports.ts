import { dirname, join } from "node:path/posix";

/** haproxy.cfg and how to read it, over the leaf helpers. */
const TEXT = ["grammar", "text", "lib"];

/** The parts that know nothing of each other. */
const PEERS = ["storage", "spoe", "haproxy", "discovery", "events"];

/**
 * What each layer may import, besides itself and `gen`. A layer is a folder of src/; the files beside them are `main` (main.ts) and
 * `server` (the wiring).
 */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  main: ["embedded", "import", "inspect", "server", "settings", "command", "doctor", "lib"],
  inspect: TEXT,
  command: ["settings", "rpc", "store", "haproxy", "config", ...TEXT],
  doctor: ["settings", "rpc", "haproxy", "lib"],
  import: ["settings", "discovery", "store", "lib"],
  embedded: ["server", "settings", "rpc", "store", "lib"],
  server: ["settings", "service", "rpc", "commit", "store", "config", ...PEERS, ...TEXT],
  service: ["rpc", "commit", "store", "config", ...PEERS, ...TEXT],
  commit: ["store", "haproxy", "discovery", "config", ...TEXT],
  rpc: ["lib"],
  discovery: ["lib"],
  events: ["lib"],
  haproxy: ["lib"],
  storage: ["lib"],
  spoe: ["config", ...TEXT],
  store: ["config", ...TEXT],
  config: TEXT,
  grammar: ["text", "lib"],
  text: ["lib"],
  settings: ["lib"],
  lib: [],
};

/** A rule that a source file breaks. */
export interface Violation {
  /** Path of the file, from the root of the checkout. */
  readonly file: string;
  /** What is wrong and how to mend it. */
  readonly message: string;
}

/**
 * Checks the sources of src/ against the picture of docs/architecture.md: imports go one way and in no circle, and only src/main.ts
 * touches the process. Tests are free in both.
 *
 * @param sources Path from the root of the checkout → text.
 */
export function checkImports(sources: ReadonlyMap<string, string>): Violation[] {
  const code = new Map(
    [...sources]
      .filter(([file]) => !file.endsWith(".test.ts"))
      .map(([file, text]) => [file, stripComments(text)]),
  );
  const graph = new Map([...code].map(([file, text]) => [file, localImports(file, text)]));
  return [
    ...[...graph].flatMap(([file, targets]) => checkDirection(file, targets)),
    ...[...code].flatMap(([file, text]) => checkProcess(file, text)),
    ...findCycles(graph),
  ];
}

function checkDirection(file: string, targets: readonly string[]): Violation[] {
  const from = layerOf(file);
  const allowed = LAYERS[from];
  if (!allowed) {
    return [{ file, message: `src/${from} is no layer; add it to LAYERS in scripts/check/imports.ts` }];
  }
  return targets
    .filter((target) => target.startsWith("src/"))
    .filter((target) => layerOf(target) !== from && !allowed.includes(layerOf(target)))
    .map((target) => {
      const may = allowed.length === 0 ? "nothing of ours" : `only ${allowed.join(", ")}`;
      const remedy = "declare what you need as an interface here, and let src/server.ts wire it";
      return { file, message: `imports ${target}, but ${from} may import ${may}; ${remedy}` };
    });
}

/** Files that may touch the process: the process's own file, and the one through which other processes are sent signals. */
const PROCESS_FILES = ["src/main.ts", "src/lib/other-process.ts"];

function checkProcess(file: string, text: string): Violation[] {
  if (PROCESS_FILES.includes(file)) return [];
  const withoutStrings = text.replace(/"(?:\\.|[^"\\\n])*"/g, '""');
  const isUsed = /(?<!typeof\s)(?<![.\w])(?:globalThis\.)?process\s*[.[]/.test(withoutStrings);
  if (!isUsed && !/from "(?:node:)?process"/.test(text)) return [];
  return [{ file, message: "touches process; only src/main.ts may, so take the value as a parameter" }];
}

/** Finds each circle of imports once, and names the files along it. */
function findCycles(graph: ReadonlyMap<string, readonly string[]>): Violation[] {
  const violations: Violation[] = [];
  const finished = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    const start = trail.indexOf(file);
    if (start >= 0) {
      const circle = [...trail.slice(start), file].join(" → ");
      violations.push({ file, message: `is in a circle of imports, break it: ${circle}` });
      return;
    }
    if (finished.has(file)) return;
    for (const target of graph.get(file) ?? []) visit(target, [...trail, file]);
    finished.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return violations;
}

function layerOf(file: string): string {
  const [, first = "", ...rest] = file.split("/");
  if (rest.length > 0) return first;
  return first === "main.ts" ? "main" : "server";
}

/** The files of ours that a file imports, in any form: import, export … from, import(), and import("…") in types. */
function localImports(file: string, text: string): string[] {
  const statements = text.matchAll(/^(?:import|export)\s+(?:[\w*{},\s$]+\s+from\s+)?"(\.[^"]+)"/gm);
  const calls = text.matchAll(/\bimport\(\s*"(\.[^"]+)"/g);
  return [...statements, ...calls].map((match) => join(dirname(file), match[1] ?? ""));
}

/** Strings are matched too, so that a `//` inside one is not taken for a comment. */
function stripComments(text: string): string {
  return text.replace(
    /("(?:\\.|[^"\\\n])*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (_, string?: string) => string ?? "",
  );
}
