import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

/** Runs the test command as npm does; it must not take itself for a file of the run that it is in. */
function runTests(...args: string[]) {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const script = fileURLToPath(new URL("test.ts", import.meta.url));
  return spawnSync(process.execPath, [script, ...args], { env, encoding: "utf8" });
}

test("a word runs the files whose path holds it, and the counts come last", () => {
  const { status, stdout } = runTests(
    "bench/result",
    "setup/needs",
    "--test-name-pattern=unknown mode|lines up",
  );
  assert.equal(status, 0);
  assert.match(stdout, /^ℹ tests 2$/m);
  assert.match(stdout, /ℹ fail 0\n(ℹ .*\n)+$/);
});

test("a word that no path holds is refused", () => {
  const { status, stderr } = runTests("no-such-word");
  assert.equal(status, 1);
  assert.match(stderr, /^No test file has "no-such-word" in its path\./);
});
