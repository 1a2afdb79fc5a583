import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { applyEdits } from "./delta.ts";
import { diffContent, diffLines } from "./line-diff.ts";

const newlines = (bytes: Uint8Array) => bytes.filter((byte) => byte === 0x0a).length;
const text = (lines: readonly string[]) => Buffer.from(lines.map((line) => `${line}\n`).join(""));

test("the edits make the second content of the first, whatever the bytes", () => {
  const fewLines = fc
    .array(fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "", "\r"), { maxLength: 30 })
    .chain((lines) => fc.boolean().map((cut) => text(lines).subarray(0, cut ? -1 : undefined)));
  const anything = fc.oneof(fewLines, fc.uint8Array({ maxLength: 60 }));
  fc.assert(
    fc.property(anything, anything, (before, after) => {
      const edits = diffContent(before, after);
      assert.deepEqual(Buffer.from(applyEdits(before, edits)), Buffer.from(after));
      const lines = diffLines(before, after);
      assert.equal(lines.length, edits.length);
      for (const [i, line] of lines.entries()) {
        const edit = edits[i];
        assert.ok(edit);
        assert.deepEqual(Buffer.from(line.after), Buffer.from(edit.bytes));
        assert.equal(line.beforeLine, 1 + newlines(before.subarray(0, edit.offset)));
        assert.equal(line.before.length, edit.length);
      }
    }),
    { numRuns: 2_000 },
  );
});

test("an edit begins and ends at lines", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("a", "b", "c", "ab", "bc"), { maxLength: 20 }),
      fc.array(fc.constantFrom("a", "b", "c", "ab", "bc"), { maxLength: 20 }),
      (a, b) => {
        const before = text(a);
        const after = text(b);
        for (const edit of diffContent(before, after)) {
          for (const at of [edit.offset, edit.offset + edit.length]) {
            assert.ok(at === 0 || before[at - 1] === 0x0a, `offset ${at}`);
          }
        }
      },
    ),
    { numRuns: 1_000 },
  );
});

const cases: {
  name: string;
  before: string[];
  after: string[];
  edits: [number, string[], number, string[]][];
}[] = [
  { name: "nothing", before: ["a"], after: ["a"], edits: [] },
  { name: "one line", before: ["a", "b", "c"], after: ["a", "x", "c"], edits: [[2, ["b"], 2, ["x"]]] },
  {
    name: "two lines far apart",
    before: ["a", "b", "c", "d", "e"],
    after: ["x", "b", "c", "d", "y"],
    edits: [
      [1, ["a"], 1, ["x"]],
      [5, ["e"], 5, ["y"]],
    ],
  },
  {
    name: "a section inserted before one that begins alike",
    before: ["backend one", "  mode http", "  server a", "backend two", "  mode http", "  server b"],
    after: [
      "backend one",
      "  mode http",
      "  server a",
      "backend new",
      "  mode http",
      "  server n",
      "backend two",
      "  mode http",
      "  server b",
    ],
    edits: [[4, [], 4, ["backend new", "  mode http", "  server n"]]],
  },
  {
    name: "a line moved",
    before: ["a", "b", "c", "d"],
    after: ["b", "c", "d", "a"],
    edits: [
      [1, ["a"], 1, []],
      [5, [], 4, ["a"]],
    ],
  },
  {
    name: "a line that ends like the one removed",
    before: ["xa", "a"],
    after: ["a"],
    edits: [[1, ["xa"], 1, []]],
  },
];

for (const { name, before, after, edits } of cases) {
  test(`line diff: ${name}`, () => {
    assert.deepEqual(
      diffLines(text(before), text(after)).map((edit) => [
        edit.beforeLine,
        Buffer.from(edit.before).toString(),
        edit.afterLine,
        Buffer.from(edit.after).toString(),
      ]),
      edits.map(([line, removed, newLine, added]) => [
        line,
        text(removed).toString(),
        newLine,
        text(added).toString(),
      ]),
    );
  });
}

test("a large file with one line changed at each end is cheap to compare", () => {
  const lines = Array.from({ length: 100_000 }, (_, i) => `    server s${i} 10.0.${i >> 8}.${i & 255}:80`);
  const before = text(lines);
  const after = text(["first", ...lines.slice(1, -1), "last"]);
  const edits = diffContent(before, after);
  assert.equal(edits.length, 2);
  assert.ok(edits.every((edit) => edit.bytes.length < 10));
});
