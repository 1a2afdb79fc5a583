import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ifThere } from "./files.ts";

test("a file that is missing is undefined; what else goes wrong is thrown", async () => {
  assert.equal(await ifThere(readFile(join(tmpdir(), "haplane-no-such-file"))), undefined);
  assert.equal(await ifThere(Promise.resolve(1)), 1);
  await assert.rejects(ifThere(readFile(tmpdir())), { code: "EISDIR" });
});
