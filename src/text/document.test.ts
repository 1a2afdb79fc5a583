import assert from "node:assert/strict";
import { test } from "node:test";
import { Document, type PartInput } from "./document.ts";
import { SPOE_SECTIONS } from "./structure.ts";

function parse(...texts: (string | Buffer)[]): Document {
  return Document.parse(texts.map((text, i): PartInput => ({ path: `${i}.cfg`, bytes: Buffer.from(text) })));
}

const odd: readonly (readonly [name: string, text: string | Buffer])[] = [
  ["an empty file", ""],
  ["blank lines only", "\n \n\t\n"],
  ["no line feed at the end", "global\n  maxconn 1"],
  ["CRLF", "global\r\n  maxconn 1\r\n\r\nbackend b\r\n"],
  ["mixed line endings", "global\r\n  maxconn 1\nbackend b\r\r\n"],
  ["NUL and other control characters", "glo\0bal\nbackend \0b\n\x01\x02\x7f\n"],
  ["bytes that are not UTF-8", Buffer.from("# caf\xe9\nbackend \xff\xfe\n", "latin1")],
  ["a byte order mark", "\ufeffglobal\n"],
  ["unknown words and sections", "words\nwithout section\nbackend b\n  nonsense\nnonsection\n"],
  ["unbalanced blocks", ".else\n.endif\nbackend b\n.if 1\n"],
  ["unmatched quotes", "backend \"b\n  server 'x\n"],
  ["a line of 1 MB", `backend b\n  ${"x".repeat(1 << 20)}\n  server s 1.1.1.1:80\n`],
];

for (const [name, text] of odd) {
  test(`a file comes back byte for byte: ${name}`, () => {
    const bytes = Buffer.from(text);
    const document = parse(bytes);
    assert.deepEqual(document.print(0), bytes);
    for (const section of document.sections()) for (const line of section.lines) assert.ok(line.words);
  });
}

test("sections begin with their keyword, however it is written", () => {
  const document = parse(
    '# top\n\n  global # g\nbackend b from d\n"back"\'end\' "b c"\n\\x62ackend x\ndefaults#none\nbackends y\n\'backend z\'\n"${X}backend" w\n"" backend v\n',
  );
  assert.deepEqual(
    Array.from(document.sections(), ({ keyword, name, from, length }) => [keyword, name, from, length]),
    [
      ["", "", undefined, 2],
      ["global", "", undefined, 1],
      ["backend", "b", "d", 1],
      ["backend", "b c", undefined, 1],
      ["backend", "x", undefined, 1],
      ["defaults", "", undefined, 5],
    ],
  );
});

test("a section keyword alone in a word counts, the rest of the word does not", () => {
  assert.deepEqual(
    Array.from(parse("globals\nglobal\vx\nglobal\r\nglo\\bal\n").sections(), ({ keyword }) => keyword),
    ["", "global", "global"],
  );
});

test("sections are found by keyword and name, and ambiguous names are visible", () => {
  const document = parse("defaults\nbackend a\nfrontend a\nlisten b\nbackend a\n", "defaults\nbackend c\n");
  const names = (sections: Iterable<{ keyword: string; name: string }>) =>
    Array.from(sections, ({ keyword, name }) => `${keyword} ${name}`);
  assert.deepEqual(names(document.find("backend", "a")), ["backend a", "backend a"]);
  assert.deepEqual(names(document.find(["backend", "listen"], "b")), ["listen b"]);
  assert.deepEqual(names(document.find("backend", "b")), []);
  assert.deepEqual(names(document.find("defaults", "")), ["defaults ", "defaults "]);
  assert.deepEqual(names(document.list("backend")), ["backend a", "backend a", "backend c"]);
  assert.deepEqual(names(document.list("frontend", "listen")), ["frontend a", "listen b"]);
  assert.deepEqual(names(document.sections(1)), [" ", "defaults ", "backend c"]);
  assert.equal(document.partOf(document.find("backend", "c")[0]!), 1);
});

test("positions lead to lines and back", () => {
  const document = parse("# x\nbackend a\n  server s\n\nbackend b\n", "", "global\n  maxconn 1");
  const [b] = document.find("backend", "b");
  assert.deepEqual(document.positionOf(b!), { part: 0, line: 5 });
  const place = document.placeAt({ part: 0, line: 3 });
  assert.equal(place?.section.name, "a");
  assert.equal(place?.index, 1);
  assert.equal(document.lineAt({ part: 2, line: 2 })?.text, "  maxconn 1");
  for (const [part, line] of [
    [0, 0],
    [0, 6],
    [1, 1],
    [2, 3],
    [3, 1],
    [-1, 1],
  ] as const)
    assert.equal(document.placeAt({ part, line }), undefined);
  assert.deepEqual(
    [0, 1, 2].map((part) => document.lineCount(part)),
    [5, 0, 2],
  );
});

test("lines are found by their first two words", () => {
  const servers = Array.from({ length: 1000 }, (_, i) => `  server s${i % 700} 1.1.1.1:${i}\n`);
  const [section] = parse(`backend b\n${servers.join("")}  balance\n`).list("backend");
  assert.deepEqual(section!.lines.find("server", "s650"), [651]);
  assert.deepEqual(section!.lines.find("server", "s3"), [4, 704]);
  assert.deepEqual(section!.lines.find("server", "s700"), []);
  assert.deepEqual(section!.lines.find("balance", undefined), [1001]);
  assert.deepEqual(section!.lines.find("server", undefined), []);
});

test("a line knows the arm of the conditional block it stands in", () => {
  const document = parse(
    [
      "global", // 1
      ".if defined(A) && !defined(B) # why", // 2
      "  maxconn 1", // 3
      "  .if 1", // 4
      "  nbthread 1", // 5
      "  .endif", // 6
      '.elif streq("$X",a)', // 7
      "  maxconn 2", // 8
      "backend b", // 9
      ".else", // 10
      "backend c", // 11
      ".endif", // 12
      "  server s", // 13
    ].join("\n"),
  );
  const arms = document.armsIn(0);
  assert.deepEqual(arms.errors, []);
  const at = (line: number) => {
    const arm = arms.at(line);
    return arm === undefined ? undefined : [arm.kind, arm.condition, arm.block, arm.line];
  };
  const first = ["if", "defined(A) && !defined(B)", 2, 2];
  const second = ["elif", "streq(${X},a)", 2, 7];
  const third = ["else", "", 2, 10];
  assert.deepEqual(
    Array.from({ length: 13 }, (_, i) => at(i + 1)),
    [
      undefined,
      undefined,
      first,
      first,
      ["if", "1", 4, 4],
      first,
      undefined,
      second,
      second,
      undefined,
      third,
      undefined,
      undefined,
    ],
  );
  assert.equal(arms.at(5)?.parent?.line, 2);
  assert.equal(arms.endOf(5), 12);
  const [b] = document.find("backend", "b");
  assert.equal(document.armOf(b!)?.kind, "elif");
  assert.equal(document.armOf(document.find("backend", "c")[0]!, 2), undefined);
});

test("conditional lines out of place are told", () => {
  const { errors } = parse(".else\n.if 1\n.else\n.elif 1\n.else\n.endif\n.endif\n.if 1\n.if 0\n").armsIn(0);
  assert.deepEqual(
    errors.map(({ line, kind }) => [line, kind]),
    [
      [1, "else"],
      [4, "elif"],
      [5, "else"],
      [7, "endif"],
      [9, "unterminated"],
      [8, "unterminated"],
    ],
  );
});

test("blocks end with their file", () => {
  const document = parse("global\n.if 1\n", "global\n  maxconn 1\n.endif\n");
  assert.deepEqual(document.armsIn(0).errors, [{ line: 2, kind: "unterminated" }]);
  assert.deepEqual(document.armsIn(1).errors, [{ line: 3, kind: "endif" }]);
  assert.equal(document.armsIn(1).at(2), undefined);
});

test("a scope line says which scope begins, and shapes the file", () => {
  const text = "spoe-agent x\n [one] # 1\nspoe-agent a\n  log global\n[two]\nspoe-message m\n";
  const document = Document.parse([{ path: "spoe", bytes: Buffer.from(text) }], SPOE_SECTIONS);
  assert.deepEqual(
    Array.from(document.sections(), ({ name, marks, lines }) => [
      name,
      marks.map(({ kind, index }) => [kind, lines.at(index)!.scope]),
    ]).slice(1),
    [
      ["x", [["scope", "one"]]],
      ["a", [["scope", "two"]]],
      ["m", []],
    ],
  );
});
