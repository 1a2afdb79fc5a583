import assert from "node:assert/strict";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { eventually } from "../../test/support/wait.ts";
import { LogFile } from "./log-file.ts";

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "haplane-log-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

function isOpen(file: string): boolean {
  return readdirSync("/proc/self/fd").some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === file;
    } catch {
      return false;
    }
  });
}

test("lines go on when the disk has room again, and those that had none are all that is lost", async (t) => {
  const path = join(directory(t), "log");
  symlinkSync("/dev/full", path);
  const log = new LogFile(path);
  await eventually(() => assert.ok(isOpen("/dev/full")));
  log.write("lost\n");
  await eventually(() => assert.ok(!isOpen("/dev/full")));
  rmSync(path);
  await eventually(() => {
    log.write("kept\n");
    assert.match(readFileSync(path, "utf8"), /^(kept\n)+$/);
  });
});

test("a file that was moved away is opened anew", async (t) => {
  const path = join(directory(t), "log");
  const log = new LogFile(path);
  log.write("one\n");
  await eventually(() => assert.equal(readFileSync(path, "utf8"), "one\n"));
  renameSync(path, `${path}.1`);
  log.reopen();
  log.write("two\n");
  await eventually(() => assert.equal(readFileSync(path, "utf8"), "two\n"));
  assert.equal(readFileSync(`${path}.1`, "utf8"), "one\n");
});
