import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { configGrammar } from "../../src/grammar/config-grammar.ts";
import { type FileReport, inspectFile } from "../../src/inspect/inspect-file.ts";
import { Keywords } from "../support/grammar-keywords.ts";
import { distinctSamples, samplesOf } from "../support/grammar-samples.ts";
import { judgingHaproxys } from "../support/judging-haproxys.ts";
import { configurationOf } from "../support/sample-configuration.ts";

/** Of the words that are no text on purpose, this share has a field of its own. */
const LEAST_DEPTH = 0.98;

const grammar = configGrammar();
const keywords = new Keywords(grammar);
/** Headers of all kinds of sections, by kind. */
const HEADERS = new Map(
  grammar.sections.flatMap(({ kinds, roles }) =>
    [...kinds.keys()].map((kind) => [kind, roles.name === undefined ? kind : `${kind} x`] as const),
  ),
);

test("nearly every word of our own samples has a field of its own", () => {
  const texts = distinctSamples(samplesOf(grammar)).map(
    (sample) => `${configurationOf(sample).lines.join("\n").replaceAll("@@", "x")}\n`,
  );
  assertDeep(texts.map((text) => inspectFile(grammar, "", Buffer.from(text))));
});

for (const { name, binary } of judgingHaproxys) {
  // Debian's package has the manual; where systems leave documentation out, those that set-up has unpacked still have it.
  const root = binary.includes("/") ? dirname(binary) : "/";
  const manual = join(root, "usr/share/doc/haproxy/configuration.txt.gz");
  if (!existsSync(manual)) continue;
  test(`nearly every word of the examples in the manual of ${name} has a field of its own`, (t) => {
    const lines = examplesOf(gunzipSync(readFileSync(manual)).toString("utf8"));
    const reports = lines.map(best);
    t.diagnostic(`${lines.length} lines`);
    assert.ok(lines.length > 500);
    assertDeep(reports);
  });
}

function assertDeep(reports: readonly FileReport[]): void {
  let [words, deep] = [0, 0];
  const missed: string[] = [];
  for (const report of reports) {
    const others = report.words - report.textWords;
    words += others;
    deep += others * report.depth;
    missed.push(...report.unmodelled.map((line) => `${line.words.join(" ")}: ${line.why}`));
  }
  assert.ok(deep / words >= LEAST_DEPTH, `${deep / words} of ${words} words\n${missed.join("\n")}`);
}

/** The lines of the manual's examples that begin with a word that some section has. Lines that go on in the next are put together. */
function examplesOf(manual: string): string[] {
  const lines: string[] = [];
  let within = false;
  for (const line of manual.replace(/([ \t]?)[ \t]*\\\n\s*/g, "$1").split("\n")) {
    if (/^ {2,4}Examples? ?:/.test(line)) within = true;
    else if (/^\S|^ {2,4}See also/.test(line)) within = false;
    else if (within && /^\s{4,}\S/.test(line) && isDirective(line)) lines.push(line);
  }
  return lines;
}

function isDirective(line: string): boolean {
  const [first = "", second = ""] = line.trim().split(/\s+/);
  return [...HEADERS.keys()].some(
    (kind) =>
      keywords.directive(kind, first) !== undefined ||
      grammar.section(kind)!.find([{ value: first }, { value: second }]) !== undefined,
  );
}

/** The line in the section that understands most of it. */
function best(line: string): FileReport {
  const reports = [...HEADERS.values()].map((header) =>
    inspectFile(grammar, "", Buffer.from(`${header}\n${line}\n`)),
  );
  return reports.reduce((found, report) => (report.depth > found.depth ? report : found));
}
