import assert from "node:assert/strict";
import * as nodeFs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { DomainError } from "../lib/errors.ts";
import type { Expected } from "./expected.ts";
import type { StorageFs } from "./file-system.ts";
import { ManagedDirectory } from "./managed-directory.ts";

async function scratch(t: TestContext): Promise<string> {
  const path = await nodeFs.mkdtemp(join(tmpdir(), "haplane-directory-"));
  t.after(() => nodeFs.rm(path, { recursive: true }));
  return path;
}

async function open(t: TestContext, fs?: StorageFs, secret = false): Promise<ManagedDirectory> {
  const path = join(await scratch(t), "files");
  return ManagedDirectory.open({ path, setting: "--general-dir", secret, ...(fs && { fs }) });
}

const bytes = (text: string) => Buffer.from(text);
/** As whoever changes a file does it. */
const write = (directory: ManagedDirectory, name: string, content: Buffer, expected: Expected = {}) =>
  directory.exclusively(name, () => directory.writeWithin(name, content, expected));
const reason = (expected: string) => (error: unknown) =>
  error instanceof DomainError && error.reason === expected;

test("makes the directory, its files and its secrets for nobody else", async (t) => {
  const open_ = await open(t);
  await write(open_, "a.txt", bytes("a"));
  const secret = await open(t, undefined, true);
  await write(secret, "key.pem", bytes("k"));
  const modes = await Promise.all(
    [open_.path, join(open_.path, "a.txt"), join(secret.path, "key.pem")].map(
      async (path) => (await nodeFs.stat(path)).mode & 0o777,
    ),
  );
  assert.deepEqual(modes, [0o750, 0o640, 0o600]);
});

test("says which setting names a directory that cannot be used", async (t) => {
  const path = join(await scratch(t), "file");
  await nodeFs.writeFile(path, "");
  await assert.rejects(
    ManagedDirectory.open({ path, setting: "--maps-dir" }),
    (error) => reason("NOT_SUPPORTED")(error) && /--maps-dir/.test((error as Error).message),
  );
});

for (const name of [
  ...["", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "a\0b", "a\nb", "a b", ".hidden", "-f"],
  ...["a".repeat(201), "ä.map", "a;b", "a,b", "a%2fb", "a'b", 'a"b', "$HOME", "*"],
]) {
  test(`refuses the name ${JSON.stringify(name.slice(0, 20))}`, async (t) => {
    const directory = await open(t);
    for (const use of [
      () => write(directory, name, bytes("x")),
      () => directory.read(name),
      () => directory.facts(name),
      () => directory.remove(name),
    ])
      await assert.rejects(async () => use(), reason("FIELD_INVALID"));
    assert.deepEqual(await nodeFs.readdir(directory.path), []);
  });
}

test("a name that differs in case only from another is refused", async (t) => {
  const directory = await open(t);
  await write(directory, "Site.pem", bytes("1"));
  await assert.rejects(write(directory, "site.pem", bytes("2")), reason("RESOURCE_EXISTS"));
  assert.deepEqual(await nodeFs.readdir(directory.path), ["Site.pem"]);
});

test("nothing is read, shown or written through a symbolic link", async (t) => {
  const directory = await open(t);
  const outside = join(directory.path, "..", "outside");
  await nodeFs.writeFile(outside, "secret");
  await nodeFs.symlink("../outside", join(directory.path, "link"));
  await nodeFs.mkdir(join(directory.path, "below"));
  assert.deepEqual(await directory.list(), []);
  assert.equal(await directory.read("link"), undefined);
  assert.equal(await directory.read("below"), undefined);
  for (const name of ["link", "below"])
    await assert.rejects(write(directory, name, bytes("x")), reason("RESOURCE_EXISTS"));
  assert.equal(await nodeFs.readFile(outside, "utf8"), "secret");
});

test("etags guard: the present one, any, none yet", async (t) => {
  const directory = await open(t);
  const first = await write(directory, "f", bytes("1"), { absent: true });
  await assert.rejects(write(directory, "f", bytes("2"), { absent: true }), reason("RESOURCE_EXISTS"));
  await assert.rejects(write(directory, "f", bytes("2"), { etag: "other" }), reason("ETAG_MISMATCH"));
  await assert.rejects(write(directory, "g", bytes("2"), { etag: first.etag }), reason("RESOURCE_NOT_FOUND"));
  const second = await write(directory, "f", bytes("2"), { etag: first.etag });
  assert.notEqual(second.etag, first.etag);
  await assert.rejects(directory.remove("f", { etag: first.etag }), reason("ETAG_MISMATCH"));
  await directory.remove("f", { etag: second.etag });
  await assert.rejects(directory.remove("f"), reason("RESOURCE_NOT_FOUND"));
  assert.deepEqual(await nodeFs.readdir(directory.path), []);
});

test("of two writers with the same etag one wins, and the other is told", async (t) => {
  const directory = await open(t);
  const { etag } = await write(directory, "f", bytes("0"));
  const outcomes = await Promise.allSettled(
    ["1", "2"].map((text) => write(directory, "f", bytes(text), { etag })),
  );
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
});

test("an edit by hand between check and rename stays", async (t) => {
  let edit = async () => {};
  const directory = await open(t, {
    ...nodeFs,
    async link(from, to) {
      await edit();
      await nodeFs.link(from, to);
    },
  } as StorageFs);
  await write(directory, "f", bytes("1"));
  edit = () => nodeFs.writeFile(join(directory.path, "f"), "by hand");
  await assert.rejects(write(directory, "f", bytes("2")), reason("ETAG_MISMATCH"));
  assert.equal(String(await directory.read("f")), "by hand");
  assert.deepEqual(await nodeFs.readdir(directory.path), ["f"]);
});

test("a list reads only what has changed", async (t) => {
  let opened: string[] = [];
  const directory = await open(t, {
    ...nodeFs,
    async open(...args: Parameters<StorageFs["open"]>) {
      opened.push(String(args[0]));
      return nodeFs.open(...args);
    },
  } as StorageFs);
  for (const name of ["a", "b", "c"]) await write(directory, name, bytes(name));
  opened = [];
  const before = await directory.list();
  assert.deepEqual(opened, []);
  await nodeFs.writeFile(join(directory.path, "b"), "other");
  const after = await directory.list();
  assert.deepEqual(opened, [join(directory.path, "b")]);
  assert.equal(after[0], before[0]);
  assert.notEqual(after[1]!.etag, before[1]!.etag);
});

test("what is installed can be undone, and until it is kept a later process finds it", async (t) => {
  const directory = await open(t);
  await write(directory, "f", bytes("1"));
  const staged = await directory.stage();
  await staged.write(bytes("2"));
  const content = await staged.seal(directory.attributes);
  const former = await directory.check("f", {});
  const installed = await directory.install("f", staged, content, former);
  assert.equal(String(await directory.read("f")), "2");
  const [found] = await (await ManagedDirectory.open({ path: directory.path, setting: "" })).interrupted();
  assert.equal(found?.name, "f");
  await installed.undo();
  await staged.discard();
  assert.equal(String(await directory.read("f")), "1");
  assert.deepEqual(await nodeFs.readdir(directory.path), ["f"]);
});

test("a later process puts the former file back as well", async (t) => {
  const directory = await open(t);
  await write(directory, "f", bytes("1"));
  const staged = await directory.stage();
  await staged.write(bytes("2"));
  const content = await staged.seal(directory.attributes);
  await directory.install("f", staged, content, await directory.check("f", {}));
  await staged.discard();
  const later = await ManagedDirectory.open({ path: directory.path, setting: "" });
  const [found] = await later.interrupted();
  await found!.undo();
  assert.equal(String(await later.read("f")), "1");
  assert.deepEqual(await nodeFs.readdir(directory.path), ["f"]);
});

for (const [operation, code] of [
  ["write", "ENOSPC"],
  ["sync", "EIO"],
  ["rename", "EROFS"],
  ["link", "EDQUOT"],
] as const) {
  test(`a disk that fails in ${operation} leaves everything as it was`, async (t) => {
    let fails = false;
    const failure = Object.assign(new Error(code), { code });
    const directory = await open(t, {
      ...nodeFs,
      async open(...args: Parameters<StorageFs["open"]>) {
        const handle = await nodeFs.open(...args);
        const name = operation === "write" ? "write" : "sync";
        const real = handle[name].bind(handle) as (...args: unknown[]) => Promise<never>;
        const failing = async (...rest: unknown[]) => {
          if (fails && name === operation) throw failure;
          return real(...rest);
        };
        return Object.assign(handle, { [name]: failing });
      },
      async rename(from, to) {
        if (fails && operation === "rename") throw failure;
        await nodeFs.rename(from, to);
      },
      async link(from, to) {
        if (fails && operation === "link") throw failure;
        await nodeFs.link(from, to);
      },
    } as StorageFs);
    const { etag } = await write(directory, "f", bytes("before"));
    fails = true;
    await assert.rejects(write(directory, "f", bytes("after")), reason("STORE_UNAVAILABLE"));
    fails = false;
    assert.deepEqual(await nodeFs.readdir(directory.path), ["f"]);
    assert.equal(String(await directory.read("f")), "before");
    assert.equal((await directory.facts("f"))?.etag, etag);
  });
}
