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

  const secret = await readOrCreateSecret(path);
  assert.ok(secret.length >= 43);
  assert.equal((await readFile(path, "utf8")).trim(), secret);
  assert.equal((await stat(path)).mode & 0o777, 0o600);

  await chmod(path, 0o644);
  assert.equal(await readOrCreateSecret(path), secret);
  assert.equal((await stat(path)).mode & 0o777, 0o600);

  await writeFile(path, "short\n");
  await assert.rejects(readOrCreateSecret(path), /16 to 512 printable characters/);
});
