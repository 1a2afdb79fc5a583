import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeCommand } from "./command.ts";
import { readCommand } from "./read-command.ts";

test("a command is read as HAProxy reads it", () => {
  const cases: readonly (readonly [string, string[]])[] = [
    ["show info", ["show", "info"]],
    ["  show\t info  ", ["show", "info"]],
    ["add map /etc/a\\ b key a\\;b\\\\c\\<", ["add", "map", "/etc/a b", "key", "a;b\\c<"]],
    ["set var proc.x str(<)", ["set", "var", "proc.x", "str(<)"]],
  ];
  for (const [command, words] of cases) assert.deepEqual(readCommand(command), words);
});

test("what could be more than one command is refused", () => {
  for (const command of ["", "  ", "a;b", "a\nb", "a\rb", "a\0", "add map x <<", "a <<b", "a\\"])
    assert.throws(() => readCommand(command), { name: "DomainError", reason: "FIELD_INVALID" }, command);
});

test("inert: whatever is accepted is sent as one line with the same words", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (text) => {
      let words: string[];
      try {
        words = readCommand(text);
      } catch {
        return;
      }
      const line = encodeCommand(words);
      assert.equal(line.indexOf("\n"), line.length - 1);
      assert.deepEqual(readCommand(line.slice(0, -1)), words);
    }),
  );
});
