import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { isBinaryReplaced } from "./replaced-binary.ts";

test("a binary that is replaced while it runs is noticed", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "haplane-binary-"));
  const [binary, next] = [join(dir, "sleep"), join(dir, "next")];
  for (const copy of [binary, next]) copyFileSync("/bin/sleep", copy);
  const child: ChildProcess = spawn(binary, ["60"], { stdio: "ignore" });
  t.after(async () => {
    child.kill();
    await once(child, "exit");
    rmSync(dir, { recursive: true });
  });
  await once(child, "spawn");
  assert.equal(isBinaryReplaced(child.pid!), false);
  renameSync(next, binary);
  assert.equal(isBinaryReplaced(child.pid!), true);
  assert.equal(isBinaryReplaced(process.pid), false);
  assert.equal(isBinaryReplaced(2 ** 30), false, "no such process");
});
