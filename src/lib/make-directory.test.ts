import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { makeDirectory } from "./make-directory.ts";

const dir = mkdtempSync(join(tmpdir(), "haplane-make-"));
after(() => rmSync(dir, { recursive: true }));
const path = (name: string) => join(dir, name);

test("a directory and those above it are made, and the uppermost is named", () => {
  assert.equal(makeDirectory(path("a/b/c"), 0o700), path("a"));
  for (const made of ["a", "a/b", "a/b/c"]) assert.equal(statSync(path(made)).mode & 0o777, 0o700);
  assert.equal(makeDirectory(path("a/b/d"), 0o700), path("a/b/d"));
});

test("one that is there, or that a link leads to, stays as it is", () => {
  mkdirSync(path("there"), { mode: 0o755 });
  symlinkSync("there", path("link"));
  for (const name of ["there", "link"]) assert.equal(makeDirectory(path(name), 0o700), undefined);
  assert.equal(statSync(path("there")).mode & 0o777, 0o755);
});

test("what cannot be made is told at once", () => {
  writeFileSync(path("file"), "");
  symlinkSync("nowhere", path("dangling"));
  for (const [name, says] of [
    [path("file"), /EEXIST: .*file/],
    [path("file/below"), /ENOTDIR: .*file/],
    [path("dangling"), /EEXIST: .*dangling/],
    ["/proc/haplane/state", /^no directory can be made in \/proc$/],
  ] as const)
    assert.throws(() => makeDirectory(name, 0o700), { message: says });
});
