import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DomainError } from "../../src/lib/errors.ts";
import { checkFile } from "../../src/spoe/check-file.ts";
import {
  addScope,
  firstLineOf,
  parseSpoeFile,
  printSpoeFile,
  removeScope,
  scopesOf,
} from "../../src/spoe/spoe-file.ts";

const lines = fc.constantFrom(
  ...[
    "[one]",
    "  [two] # of two",
    "[one]",
    "[]",
    "[a b]",
    "[open",
    "# a comment",
    "",
    "\t",
    ".if true",
    ".endif",
  ],
  ...[
    "spoe-agent a",
    "spoe-message m",
    "spoe-group g",
    "    messages m m",
    "    args x=src 'a b'",
    '    args "',
    "x",
  ],
);

const files = fc
  .tuple(fc.array(lines, { maxLength: 30 }), fc.constantFrom("\n", "\r\n"), fc.boolean())
  .map(([texts, newline, ended]) => Buffer.from(texts.join(newline) + (ended ? newline : "")));

test("any file prints back, whatever its scopes, and is checked without a defect", () => {
  fc.assert(
    fc.property(fc.oneof(files, fc.uint8Array({ maxLength: 200 }).map(Buffer.from)), (bytes) => {
      const file = parseSpoeFile("f", bytes);
      assert.deepEqual(printSpoeFile(file), bytes);
      const count = bytes.toString("latin1").split("\n").length;
      for (const scope of file.scopes) assert.ok(firstLineOf(file, scope) <= count);
      try {
        checkFile(file);
      } catch (error) {
        assert.ok(error instanceof DomainError && error.violations.length > 0);
      }
    }),
    { numRuns: 1500 },
  );
});

test("a new scope is read where it was put and leaves every other byte; removed, the file says what it said before", () => {
  fc.assert(
    fc.property(files, fc.nat(), (bytes, at) => {
      const file = parseSpoeFile("f", bytes);
      const after = file.scopes[at % file.scopes.length]!;
      const added = addScope(file, "new", after);
      const printed = printSpoeFile(added);
      const again = parseSpoeFile("f", printed);
      assert.deepEqual(
        again.scopes.map(({ id }) => id),
        added.scopes.map(({ id }) => id),
      );
      const words = (text: Buffer) =>
        text
          .toString("latin1")
          .split("\n")
          .map((line) => line.trim())
          .filter(Boolean);
      const scope = again.scopes.find(({ id }) => id === "new")!;
      const removed = removeScope(again, scope);
      assert.deepEqual(words(printSpoeFile(removed)), words(bytes));
      assert.ok(scopesOf(removed).every(({ id }) => id !== "new"));
    }),
    { numRuns: 1000 },
  );
});
