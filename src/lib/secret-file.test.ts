import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readOrCreateSecret } from "./secret-file.ts";

test("a secret is made once, private, and kept", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "haplane-secret-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "admin.token");

  const secret = await readOrCreateSecret(path, 32);
  assert.ok(secret.length >= 43);
  assert.equal((await readFile(path, "utf8")).trim(), secret);
  assert.equal((await stat(path)).mode & 0o777, 0o600);

  await chmod(path, 0o644);
  assert.equal(await readOrCreateSecret(path, 32), secret);
  assert.equal((await stat(path)).mode & 0o777, 0o600);

  for (const text of ["short", "a".repeat(31), "a b".repeat(20), "é".repeat(40), "a".repeat(513), ""]) {
    await writeFile(path, `${text}\n`);
    await assert.rejects(readOrCreateSecret(path, 32), /32 to 512 printable characters/);
  }
  await writeFile(path, `${"a".repeat(32)}\n`);
  assert.equal(await readOrCreateSecret(path, 32), "a".repeat(32));
});
