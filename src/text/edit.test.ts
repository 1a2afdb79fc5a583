import assert from "node:assert/strict";
import { test } from "node:test";
import { Document } from "./document.ts";
import { deleteLines, insertLines, replaceHeader, replaceLine, spliceLines } from "./edit.ts";
import { deleteSection, insertSection } from "./edit-sections.ts";
import { rewriteLine } from "./rewrite.ts";
import type { Section } from "./section.ts";

function parse(text: string): Document {
  return Document.parse([{ path: "a.cfg", bytes: Buffer.from(text) }]);
}

function section(document: Document, name: string): Section {
  const [keyword, ...rest] = name.split(" ");
  const [found] = document.find(keyword!, rest.join(" "));
  assert.ok(found, name);
  return found;
}

test("new lines are indented like their neighbours and end like them", () => {
  const document = parse("global\r\n\tmaxconn 1\r\nbackend b\r\n# x\r\nbackend c\r\n");
  const first = insertLines(document, section(document, "global "), 1, ["nbthread 2"]).document;
  const second = insertLines(first, section(first, "backend b"), 1, ["balance source"]).document;
  assert.equal(
    second.print(0).toString(),
    "global\r\n\tnbthread 2\r\n\tmaxconn 1\r\nbackend b\r\n\tbalance source\r\n# x\r\nbackend c\r\n",
  );
});

test("a last line without line ending is never glued to the next", () => {
  const document = parse("backend b\n  server a 1.1.1.1:1");
  const b = section(document, "backend b");
  const added = insertLines(document, b, 2, ["server b 1.1.1.1:2"]).document;
  assert.equal(added.print(0).toString(), "backend b\n  server a 1.1.1.1:1\n  server b 1.1.1.1:2\n");
  const replaced = replaceLine(document, b, 1, "  server c 1.1.1.1:3").document;
  assert.equal(replaced.print(0).toString(), "backend b\n  server c 1.1.1.1:3\n");
  const deleted = deleteLines(document, b, 1, 1).document;
  assert.equal(deleted.print(0).toString(), "backend b\n");
  const appended = insertSection(document, { after: b }, "backend c", []).document;
  assert.equal(appended.print(0).toString(), "backend b\n  server a 1.1.1.1:1\n\nbackend c\n");
});

test("a document is not changed by edits, and shares what stays", () => {
  const document = parse("global\nbackend a\n  server s 1.1.1.1:1\nbackend b\n");
  const before = document.print(0);
  const { document: changed } = replaceLine(
    document,
    section(document, "backend a"),
    1,
    "  server t 1.1.1.1:1",
  );
  assert.deepEqual(document.print(0), before);
  assert.equal(section(changed, "backend b"), section(document, "backend b"));
  assert.notEqual(section(changed, "backend a"), section(document, "backend a"));
  assert.equal(changed.current(section(document, "backend a")), section(changed, "backend a"));
  assert.deepEqual(section(document, "backend a").lines.find("server", "s"), [1]);
  assert.deepEqual(section(changed, "backend a").lines.find("server", "s"), []);
});

test("a section of another version is refused", () => {
  const document = parse("backend a\n  server s 1.1.1.1:1\n");
  const old = section(document, "backend a");
  const { document: changed } = deleteLines(document, old, 1, 1);
  assert.throws(() => deleteLines(changed, old, 1, 1), /not of this version/);
});

const refused: readonly (readonly [line: string | Buffer, kind: string])[] = [
  ["server a\nserver b", "break"],
  ["server a\r", "break"],
  ["backend b", "section"],
  ["  'backend' b", "section"],
  ["\\x62ackend b", "section"],
  [".if 1", "if"],
  [".endif", "endif"],
  ["'.else'", "else"],
  [".notice x", "message"],
  ["[scope]", "scope"],
  ["a 'b", "quote"],
  ["a\0", "nul"],
  [`a "\${X-d}" ${"x".repeat(1000)}`, "default-value"],
  [Array(65).fill("x").join(" "), "words"],
];

for (const [line, kind] of refused) {
  test(`a line is refused in a section: ${JSON.stringify(line).slice(0, 40)}`, () => {
    const document = parse("backend a\n  server s 1.1.1.1:1\n");
    const a = section(document, "backend a");
    const refusal = { name: "DomainError", reason: "FIELD_INVALID", metadata: { kind } };
    const matches = (error: unknown) => {
      const { name, reason, metadata } = error as typeof refusal;
      return name === refusal.name && reason === refusal.reason && metadata.kind === kind;
    };
    assert.throws(() => spliceLines(document, a, 1, 0, [line]), matches);
    assert.throws(() => insertLines(document, a, 2, [line]), matches);
    assert.throws(() => insertSection(document, { endOf: 0 }, "backend z", [line]), matches);
  });
}

test("headers and lines that shape the file are out of reach of line edits", () => {
  const document = parse("backend a\n.if 1\n  server s 1.1.1.1:1\n.endif\n");
  const a = section(document, "backend a");
  assert.throws(() => deleteLines(document, a, 0, 1), RangeError);
  assert.throws(() => deleteLines(document, a, 4, 1), RangeError);
  assert.throws(() => deleteLines(document, a, 1, 1), { reason: "FIELD_INVALID" });
  assert.throws(() => replaceLine(document, a, 3, "  mode tcp"), { reason: "FIELD_INVALID" });
  const { document: changed, section: again } = insertLines(document, a, 1, ["mode tcp"]);
  assert.equal(changed.print(0).toString(), "backend a\n  mode tcp\n.if 1\n  server s 1.1.1.1:1\n.endif\n");
  assert.equal(changed.armOf(again, 3)?.condition, "1");
  assert.equal(changed.armOf(again, 1), undefined);
});

test("a header can change its name, and is found by the new one", () => {
  const document = parse("defaults d\nbackend a from d # x\n  mode tcp\n");
  const renamed = replaceHeader(document, section(document, "backend a"), "backend b");
  assert.deepEqual(renamed.document.find("backend", "a"), []);
  assert.equal(section(renamed.document, "backend b"), renamed.section);
  assert.equal(renamed.section.from, undefined);
  for (const header of ["frontend b", "mode tcp", "backend 'b", "backend b\n", "backend b\nbackend c"])
    assert.throws(() => replaceHeader(document, section(document, "backend a"), header), {
      reason: "FIELD_INVALID",
    });
});

const inserted: readonly (readonly [name: string, after: string, text: string, expected: string])[] = [
  ["at the end", "backend a", "backend a\n", "backend a\n\nbackend new\n    mode tcp\n"],
  [
    "at the end, behind blank lines",
    "backend a",
    "backend a\n\n",
    "backend a\n\nbackend new\n    mode tcp\n\n",
  ],
  [
    "above the last comment of the file",
    "backend a",
    "backend a\n\n# vim: ft=haproxy\n",
    "backend a\n\nbackend new\n    mode tcp\n\n# vim: ft=haproxy\n",
  ],
  [
    "above the comment of the next section",
    "backend a",
    "backend a\n  mode http\n\n# b\nbackend b\n",
    "backend a\n  mode http\n\nbackend new\n  mode tcp\n\n# b\nbackend b\n",
  ],
  [
    "without blank lines where there are none",
    "backend a",
    "backend a\n\tmode http\nbackend b\n",
    "backend a\n\tmode http\nbackend new\n\tmode tcp\nbackend b\n",
  ],
  [
    "behind the block that the section stands in",
    "backend a",
    ".if 1\nbackend a\n.else\nbackend b\n.endif\n\nbackend c\n",
    ".if 1\nbackend a\n.else\nbackend b\n.endif\n\nbackend new\n    mode tcp\n\nbackend c\n",
  ],
  [
    "above the block of the next section",
    "backend a",
    "backend a\n\n.if 1\nbackend b\n.endif\n",
    "backend a\n\nbackend new\n    mode tcp\n\n.if 1\nbackend b\n.endif\n",
  ],
  [
    "behind lines that follow the block",
    "backend a",
    ".if 1\nbackend a\n.endif\n  mode http\n# c\nbackend c\n",
    ".if 1\nbackend a\n.endif\n  mode http\nbackend new\n  mode tcp\n# c\nbackend c\n",
  ],
];

for (const [name, after, text, expected] of inserted) {
  test(`a section is inserted ${name}`, () => {
    const document = parse(text);
    const { document: changed, section: added } = insertSection(
      document,
      { after: section(document, after) },
      "backend new",
      ["mode tcp"],
    );
    assert.equal(changed.print(0).toString(), expected);
    assert.equal(section(changed, "backend new"), added);
    assert.equal(changed.armOf(added), undefined);
  });
}

test("a section is inserted into files that have none, or only comments", () => {
  for (const [text, expected] of [
    ["", "backend new\n"],
    ["# banner\n", "# banner\n\nbackend new\n"],
    ["# banner", "# banner\n\nbackend new\n"],
    ["\n", "\nbackend new\n"],
  ] as const)
    assert.equal(
      insertSection(parse(text), { endOf: 0 }, "backend new", []).document.print(0).toString(),
      expected,
    );
});

test("a section is inserted before the first one, below the comment about the file", () => {
  for (const [text, expected] of [
    ["global\n", "backend new\nglobal\n"],
    ["# banner\n\n# g\nglobal\n", "# banner\n\nbackend new\n\n# g\nglobal\n"],
    ["# _version=1\nglobal\n", "# _version=1\nbackend new\nglobal\n"],
  ] as const) {
    const document = parse(text);
    const [preamble] = document.sections();
    assert.equal(
      insertSection(document, { after: preamble! }, "backend new", []).document.print(0).toString(),
      expected,
    );
  }
});

test("a block that never ends keeps a section from being inserted behind it", () => {
  const document = parse(".if 1\nbackend a\n");
  assert.throws(() => insertSection(document, { endOf: 0 }, "backend b", []), { reason: "FIELD_INVALID" });
});

test("a default for a variable is refused in the first line of a file", () => {
  assert.throws(() => insertSection(parse(""), { endOf: 0 }, 'backend "${X-d}"', []), {
    reason: "FIELD_INVALID",
  });
  const document = parse("backend b\nbackend c\n");
  assert.throws(() => replaceHeader(document, section(document, "backend b"), 'backend "${X-d}"'), {
    reason: "FIELD_INVALID",
  });
  assert.ok(replaceHeader(document, section(document, "backend c"), 'backend "${X-d}"'));
});

const deleted: readonly (readonly [name: string, text: string, expected: string])[] = [
  [
    "and leaves one blank line",
    "backend a\n\nbackend x\n  mode tcp\n\nbackend b\n",
    "backend a\n\nbackend b\n",
  ],
  [
    "and leaves the next one's comment",
    "backend x\n  # own\n  mode tcp\n# b\nbackend b\n",
    "# b\nbackend b\n",
  ],
  ["and leaves the comment above it", "# x\nbackend x\nbackend b\n", "# x\nbackend b\n"],
  ["at the end", "backend a\n\nbackend x\n  mode tcp\n", "backend a\n\n"],
  ["alone", "backend x\n  mode tcp", ""],
  ["with a block of its own", "backend x\n.if 1\n  mode tcp\n.else\n.endif\nbackend b\n", "backend b\n"],
  ["out of a block", ".if 1\nbackend x\n.endif\nbackend b\n", ".if 1\n.endif\nbackend b\n"],
  ["before a scope", "backend x\n  mode tcp\n[scope]\nbackend b\n", "[scope]\nbackend b\n"],
  ["before a block", "backend x\n.if 1\nbackend b\n.endif\n", ".if 1\nbackend b\n.endif\n"],
];

for (const [name, text, expected] of deleted) {
  test(`a section is deleted ${name}`, () => {
    const document = parse(text);
    assert.equal(deleteSection(document, section(document, "backend x")).print(0).toString(), expected);
  });
}

for (const text of [
  ".if 1\nbackend x\n.endif\n  mode tcp\nbackend b\n",
  "backend x\n.if 1\n  mode tcp\nbackend b\n.endif\n",
  ".if 1\nbackend x\n.else\n  mode tcp\n.endif\n",
  "backend x\n[scope]\n  mode tcp\nbackend b\n",
]) {
  test(`a section is not deleted when it holds one end of a block, or the scope of those below: ${JSON.stringify(text)}`, () => {
    const document = parse(text);
    assert.throws(() => deleteSection(document, section(document, "backend x")), { reason: "FIELD_INVALID" });
  });
}

const rewritten: readonly (readonly [line: string, values: readonly string[], expected: string])[] = [
  ["  maxconn   20000   # keep", ["maxconn", "9"], "  maxconn   9   # keep"],
  ["maxconn 1", ["maxconn", "1"], "maxconn 1"],
  [
    "\tserver  s1\t'1.1.1.1:80'  check\\ x#c",
    ["server", "s1", "1.1.1.1:80", "weight", "5", "check x"],
    "\tserver  s1\t'1.1.1.1:80' weight 5  check\\ x#c",
  ],
  [
    "server a 1.1.1.1:1  weight  5   check",
    ["server", "a", "1.1.1.1:1", "check"],
    "server a 1.1.1.1:1   check",
  ],
  ["a b c d", ["x"], "x"],
  ["a  b", ["a", "b", "c d"], 'a  b "c d"'],
  ["# only", [], "# only"],
  ["  # only", ["x"], "  x # only"],
  ['a "$HOME" b', ["a", "${HOME}", "c"], 'a "$HOME" c'],
  ["log 127.0.0.1  local0 ", ["log", "127.0.0.1", "local1"], "log 127.0.0.1  local1 "],
];

for (const [line, values, expected] of rewritten) {
  test(`a line is rewritten in place: ${JSON.stringify(line)}`, () => {
    const found = parse(`backend b\n${line}\n`).lineAt({ part: 0, line: 2 });
    const result = rewriteLine(found!, values);
    assert.ok(result.ok);
    assert.equal(result.line.toString(), expected);
  });
}

test("a value that cannot be written keeps the line from being rewritten", () => {
  const line = parse("backend b\n  a b\n").lineAt({ part: 0, line: 2 })!;
  assert.deepEqual(rewriteLine(line, ["a", "b\n"]), { ok: false, refusal: { kind: "control", word: 1 } });
  assert.deepEqual(rewriteLine(line, ["a", "", "b"]), { ok: false, refusal: { kind: "empty", word: 1 } });
});
