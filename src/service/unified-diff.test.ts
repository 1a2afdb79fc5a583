import assert from "node:assert/strict";
import { test } from "node:test";
import { Document } from "../text/document.ts";
import { unifiedDiff } from "./unified-diff.ts";

const parse = (text: string) => Document.parse([{ path: "a.cfg", bytes: Buffer.from(text) }]);

const OPEN = "\\ No newline at end of file";

const cases: readonly {
  readonly what: string;
  readonly before: string;
  readonly after: string;
  readonly diff: readonly string[];
}[] = [
  {
    what: "a last line that gets its end",
    before: "global\n  maxconn 1",
    after: "global\n  maxconn 1\n",
    diff: ["@@ -1,2 +1,2 @@", " global", "-  maxconn 1", OPEN, "+  maxconn 1"],
  },
  {
    what: "a last line that loses its end",
    before: "global\n  maxconn 1\n",
    after: "global\n  maxconn 1",
    diff: ["@@ -1,2 +1,2 @@", " global", "-  maxconn 1", "+  maxconn 1", OPEN],
  },
  {
    what: "a last line without an end that stays",
    before: "global\n  maxconn 1\n  nbthread 1",
    after: "global\n  maxconn 2\n  nbthread 1",
    diff: ["@@ -1,3 +1,3 @@", " global", "-  maxconn 1", "+  maxconn 2", "   nbthread 1", OPEN],
  },
  {
    what: "lines far from the end, which is not shown",
    before: `global\n${"  # x\n".repeat(8)}  nbthread 1`,
    after: `global # y\n${"  # x\n".repeat(8)}  nbthread 1`,
    diff: ["@@ -1,4 +1,4 @@", "-global", "+global # y", "   # x", "   # x", "   # x"],
  },
  {
    what: "a file that was empty",
    before: "",
    after: "global",
    diff: ["@@ -0,0 +1,1 @@", "+global", OPEN],
  },
];

for (const { what, before, after, diff } of cases) {
  test(`the diff of ${what}`, () => {
    assert.equal(
      unifiedDiff(parse(before), parse(after)),
      `${["--- a.cfg", "+++ a.cfg", ...diff].join("\n")}\n`,
    );
  });
}

test("a text of very many lines has a diff that is cut, and not an error", () => {
  const lines = 300_000;
  const diff = unifiedDiff(parse(""), parse("#\n".repeat(lines)));
  assert.match(diff, /^--- a\.cfg\n\+\+\+ a\.cfg\n@@ -0,0 \+1,300000 @@\n\+#\n/);
  const omitted = Number(/… and (\d+) more lines\n$/.exec(diff)?.[1] ?? 0);
  assert.equal(diff.split("\n").filter((line) => line === "+#").length + omitted, lines);
});
