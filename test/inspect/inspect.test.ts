import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { configGrammar } from "../../src/grammar/config-grammar.ts";
import { readLineOf } from "../../src/grammar/read-section.ts";
import { sameValue } from "../../src/grammar/same.ts";
import { inspectFile } from "../../src/inspect/inspect-file.ts";
import { reprint } from "../../src/inspect/reprint.ts";
import { runInspect } from "../../src/inspect/run-inspect.ts";
import { Document } from "../../src/text/document.ts";
import type { Line } from "../../src/text/line.ts";

const FILES = fileURLToPath(new URL("files/", import.meta.url));
const files = readdirSync(FILES).sort();
const grammar = configGrammar();

function bytesOf(file: string): Buffer {
  return readFileSync(join(FILES, file));
}

/** The alerts of HAProxy about a configuration; none when it accepts it. */
async function alertsOf(bytes: Buffer): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "haplane-inspect-"));
  try {
    const file = join(directory, "a.cfg");
    await writeFile(file, bytes);
    const { status, stderr } = spawnSync("haproxy", ["-c", "-L", "edge-1", "-f", file], {
      encoding: "latin1",
    });
    return status === 0 ? "" : stderr;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Asserts that two files have the same lines in the sense of the grammar. */
function assertSameMeaning(a: Buffer, b: Buffer): void {
  const [one, two] = [a, b].map((bytes) => Document.parse([{ path: "", bytes }])) as [Document, Document];
  assert.equal(one.lineCount(0), two.lineCount(0));
  for (const section of one.sections()) {
    const position = one.positionOf(section);
    const place = section.length === 0 ? undefined : two.placeAt(position);
    if (place === undefined) continue;
    assert.equal(place.section.keyword, section.keyword);
    assert.equal(place.section.name, section.name);
    assert.equal(place.section.from, section.from);
    const codec = grammar.section(section.keyword);
    if (codec === undefined) continue;
    for (let index = 1; index < section.length; index++) {
      const line = section.lines.at(index)!;
      const other: Line = place.section.lines.at(index)!;
      const before = readLineOf(codec, section.keyword, line);
      const after = readLineOf(codec, section.keyword, other);
      assert.equal(after.kind, before.kind);
      if (before.kind !== "typed" || after.kind !== "typed") assert.equal(other.text, line.text);
      else {
        assert.equal(after.directive, before.directive);
        assert.ok(sameValue(before.directive, before.value, after.value), other.text);
      }
    }
  }
}

for (const file of files) {
  test(`${file} prints back, and printed anew it says the same`, async () => {
    const bytes = bytesOf(file);
    const printed = reprint(grammar, bytes);
    assert.ok(inspectFile(grammar, file, bytes).lossless);
    assertSameMeaning(bytes, printed);
    assert.deepEqual(reprint(grammar, printed), printed);
    if ((await alertsOf(bytes)) === "") assert.equal(await alertsOf(printed), "");
    else assert.equal(file, "legacy.cfg", "HAProxy accepts the other files");
  });
}

test("a line whose order means something is not put in another", () => {
  // The first certificate is the one for clients that name no server.
  const text = "frontend f\n  bind :443 ssl crt-list list crt first\n  bind :444 crt a crt-list list ssl\n";
  assert.equal(
    reprint(grammar, Buffer.from(text)).toString(),
    "frontend f\n  bind :443 ssl crt-list list crt first\n  bind :444 ssl crt a crt-list list\n",
  );
});

test("a configuration of today is understood", () => {
  const { unmodelled: _, ...report } = inspectFile(grammar, "edge.cfg", bytesOf("edge.cfg"));
  assert.equal(report.sections, 20);
  assert.equal(report.partial, 0);
  assert.ok(report.typed / report.directives > 0.99, `${report.typed} of ${report.directives}`);
  assert.ok(report.depth > 0.99, String(report.depth));
  assert.equal(report.unended, false);
});

test("what is not understood is listed with the reason", () => {
  const report = inspectFile(grammar, "legacy.cfg", bytesOf("legacy.cfg"));
  assert.deepEqual(
    report.unmodelled.map(({ line, why }) => [line, why]),
    [
      [1, "no section begins above it"],
      [5, "the keyword is not known"],
      [9, "removed in HAProxy 2.1; use timeout connect"],
      [10, "removed in HAProxy 2.1; use timeout client"],
      [11, "removed in HAProxy 2.0; use option httpclose"],
      [14, "the header says more than the section's name and the defaults it is based on"],
      [15, "removed in HAProxy 1.6; use stick tables"],
      [16, "removed in HAProxy 2.1; use http-request replace-header"],
      [17, "HAProxy cannot read the line: a quote without its end at byte 24"],
      [22, "the keyword is known, but not with these words"],
      [23, "HAProxy has no such directive"],
      [24, "there is no .if above it, or an .else"],
      [26, "the keyword is known, but not with these words"],
      [27, "no .endif ends the block"],
    ],
  );
  assert.equal(report.directives, report.typed + report.unmodelled.length);
  assert.equal(report.partial, 2);
  assert.equal(report.unended, true);
  // 72 words, of which the unmodelled lines have 43 and the partly typed ones 3.
  const lost = report.unmodelled.reduce((sum, { line }) => sum + wordsAt("legacy.cfg", line), 0) + 3;
  const others = report.words - report.textWords;
  assert.equal(report.depth, (others - lost) / others);
});

function wordsAt(file: string, line: number): number {
  return Document.parse([{ path: "", bytes: bytesOf(file) }]).lineAt({ part: 0, line })!.words.length;
}

test("a directive that HAProxy ignores where it stands is understood all the same", () => {
  const text = "frontend f\n  balance   source\n  retries 3\n  bind :80\n";
  const { typed, ignored, unmodelled } = inspectFile(grammar, "", Buffer.from(text));
  assert.deepEqual({ typed, ignored, unmodelled }, { typed: 3, ignored: 2, unmodelled: [] });
  assert.equal(reprint(grammar, Buffer.from(text)).toString(), text.replace("   source", " source"));
});

test("text on purpose is counted by its words", () => {
  const text = "backend b\n  http-request deny if { path /a } !x\n  mode http\n";
  const { words, textWords, depth } = inspectFile(grammar, "", Buffer.from(text));
  assert.deepEqual({ words, textWords, depth }, { words: 10, textWords: 6, depth: 1 });
});

test("an empty file is understood", () => {
  const { directives, depth, lossless } = inspectFile(grammar, "", Buffer.alloc(0));
  assert.deepEqual({ directives, depth, lossless }, { directives: 0, depth: 1, lossless: true });
});

/** Runs the command; what it printed and its exit code. */
async function run(...args: string[]): Promise<{ code: number; out: string; errors: string }> {
  const out: Buffer[] = [];
  let errors = "";
  const code = await runInspect(args, {
    readFile,
    out: (output) => out.push(Buffer.from(output)),
    error: (message) => {
      errors += message;
    },
  });
  return { code, out: Buffer.concat(out).toString(), errors };
}

test("the report as JSON has one object for each file", async () => {
  const paths = files.map((file) => join(FILES, file));
  const { code, out } = await run("--json", ...paths);
  assert.equal(code, 0);
  const report = JSON.parse(out) as { files: Record<string, unknown>[] };
  assert.deepEqual(
    report.files.map(({ file }) => file),
    paths,
  );
  for (const file of report.files)
    assert.deepEqual(Object.keys(file), [
      "file",
      "bytes",
      "sections",
      "directives",
      "typed",
      "partial",
      "unmodelled",
      "depth",
      "lossless",
    ]);
  const { unmodelled } = report.files.at(files.indexOf("legacy.cfg"))!;
  assert.deepEqual((unmodelled as unknown[])[1], {
    line: 5,
    words: ["stray", "words", "about", "nothing"],
    why: "the keyword is not known",
  });
});

test("the report in words names every line that is not understood", async () => {
  const { code, out } = await run(join(FILES, "legacy.cfg"));
  assert.equal(code, 0);
  assert.match(out, /legacy\.cfg: 681 bytes, 4 sections, 22 directives\n/);
  assert.match(out, / {2}line 5: stray words about nothing\n {4}the keyword is not known\n/);
  assert.match(out, /prints back to the same bytes/);
});

test("no report shows a password", async () => {
  for (const args of [[], ["--json"]]) {
    const { out } = await run(...args, join(FILES, "legacy.cfg"));
    assert.match(out, /user/);
    assert.doesNotMatch(out, /secret but/);
  }
});

test("no report leads a terminal astray", async () => {
  const directory = await mkdtemp(join(tmpdir(), "haplane-inspect-"));
  try {
    const path = join(directory, "a.cfg");
    await writeFile(path, 'backend b\n  "evil\\x1b[2J\\x07" \u202e\n');
    const { out } = await run(path);
    assert.doesNotMatch(out, /[\x1b\x07\u202e]/);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test("a file that cannot be read is told, and the others are read", async () => {
  const { code, out, errors } = await run(join(FILES, "none.cfg"), join(FILES, "edge.cfg"));
  assert.equal(code, 1);
  assert.match(errors, /none\.cfg/);
  assert.match(out, /edge\.cfg: /);
});

test("arguments that make no sense are refused with the usage", async () => {
  for (const args of [[], ["--json"], ["--json", "--reprint", "x"], ["--nope", "x"]]) {
    const { code, out, errors } = await run(...args);
    assert.equal(code, 2);
    assert.equal(out, "");
    assert.match(errors, /Usage: haplane inspect/);
  }
  const { code, out } = await run("--help");
  assert.equal(code, 0);
  assert.match(out, /Usage: haplane inspect/);
});

test("no report shows what follows the first word where no grammar says what is secret", () => {
  const text = "user eve insecure-password pw1\nfrobnicator x\n  password pw2\nvault\n";
  const { unmodelled } = inspectFile(grammar, "", Buffer.from(`${text}userlists u\n  user a password pw3\n`));
  assert.equal(unmodelled.length, 6);
  assert.doesNotMatch(JSON.stringify(unmodelled), /pw\d/);
});
