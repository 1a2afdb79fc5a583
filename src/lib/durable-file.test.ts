import assert from "node:assert/strict";
import * as nodeFs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type FileSystem, replaceFile } from "./durable-file.ts";

async function scratch(t: { after(fn: () => Promise<void>): void }): Promise<string> {
  const directory = await nodeFs.mkdtemp(join(tmpdir(), "haplane-durable-"));
  t.after(() => nodeFs.rm(directory, { recursive: true }));
  return directory;
}

const bytes = (text: string) => Buffer.from(text);

test("creates a file with the mode asked for, 0600 by default", async (t) => {
  const path = join(await scratch(t), "new");
  assert.deepEqual(await replaceFile(path, bytes("a"), { expected: undefined }), { kind: "replaced" });
  assert.equal((await nodeFs.stat(path)).mode & 0o777, 0o600);
  assert.equal(await nodeFs.readFile(path, "utf8"), "a");
});

test("keeps mode and symbolic link of an existing file, and leaves nothing beside it", async (t) => {
  const directory = await scratch(t);
  const [target, link] = [join(directory, "target"), join(directory, "link")];
  await nodeFs.writeFile(target, "before");
  await nodeFs.chmod(target, 0o640);
  await nodeFs.symlink("target", link);
  assert.deepEqual(await replaceFile(link, bytes("after"), { expected: bytes("before") }), {
    kind: "replaced",
  });
  assert.equal(await nodeFs.readlink(link), "target");
  assert.equal(await nodeFs.readFile(target, "utf8"), "after");
  assert.equal((await nodeFs.stat(target)).mode & 0o777, 0o640);
  assert.deepEqual((await nodeFs.readdir(directory)).sort(), ["link", "target"]);
});

test("does not replace what somebody else wrote", async (t) => {
  const directory = await scratch(t);
  const path = join(directory, "file");
  await nodeFs.writeFile(path, "theirs");
  const outcome = await replaceFile(path, bytes("ours"), { expected: bytes("before") });
  assert.deepEqual(outcome, { kind: "foreign" });
  assert.equal(await nodeFs.readFile(path, "utf8"), "theirs");
  assert.deepEqual(await nodeFs.readdir(directory), ["file"]);
});

test("an edit in place between the comparison and the rename is put back", async (t) => {
  const directory = await scratch(t);
  const path = join(directory, "file");
  await nodeFs.writeFile(path, "before");
  const fs: FileSystem = {
    ...nodeFs,
    async rename(from, to) {
      if (String(from).includes("-new-")) await nodeFs.writeFile(path, "theirs");
      await nodeFs.rename(from, to);
    },
  };
  const outcome = await replaceFile(path, bytes("ours"), { expected: bytes("before"), fs });
  assert.deepEqual(outcome, { kind: "foreign" });
  assert.equal(await nodeFs.readFile(path, "utf8"), "theirs");
  assert.deepEqual(await nodeFs.readdir(directory), ["file"]);
});

test("the file is whole, old or new, wherever an operation fails", async (t) => {
  for (let stopAt = 1; ; stopAt++) {
    const directory = await scratch(t);
    const path = join(directory, "file");
    await nodeFs.writeFile(path, "before");
    let count = 0;
    const step = <A extends unknown[], R>(operation: (...args: A) => Promise<R>) => {
      return async (...args: A): Promise<R> => {
        count += 1;
        if (count === stopAt) throw Object.assign(new Error("stopped here"), { code: "EIO" });
        return operation(...args);
      };
    };
    const fs = {
      ...nodeFs,
      open: step(nodeFs.open),
      rename: step(nodeFs.rename),
      link: step(nodeFs.link),
      readFile: step(nodeFs.readFile as (path: string) => Promise<Buffer>),
      stat: step(nodeFs.stat as (path: string) => ReturnType<typeof nodeFs.stat>),
    } as unknown as FileSystem;
    const outcome = await replaceFile(path, bytes("after"), { expected: bytes("before"), fs }).catch(
      (error: Error) => error,
    );
    assert.match(await nodeFs.readFile(path, "utf8"), /^(before|after)$/);
    assert.deepEqual(await nodeFs.readdir(directory), ["file"]);
    if (!(outcome instanceof Error)) {
      assert.ok(stopAt > 5, "operations were counted");
      return;
    }
  }
});
