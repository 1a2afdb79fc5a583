import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { holdFile } from "./hold-file.ts";

test("a file is held by one, and by the next once it is released, be it removed before or not", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "haplane-hold-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "lock");
  const first = holdFile(path);
  assert.notEqual(first, undefined);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(holdFile(path), undefined);
  first?.release();
  const second = holdFile(path);
  assert.notEqual(second, undefined);
  rmSync(path);
  second?.release();
  const third = holdFile(path);
  assert.notEqual(third, undefined);
  assert.equal(holdFile(path), undefined);
  third?.release();
});

test("what is no file is the system's error", () => {
  assert.throws(() => holdFile("/proc/none/lock"));
  assert.throws(() => holdFile(tmpdir()));
});
