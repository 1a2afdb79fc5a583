import assert from "node:assert/strict";
import * as nodeFs from "node:fs/promises";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  unlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { Commit } from "../../src/commit/commit.ts";
import { ConfigFiles } from "../../src/commit/config-files.ts";
import { readRevision } from "../../src/commit/history.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/store/store.ts";
import type { Document } from "../../src/text/document.ts";
import { BODY, commitWorld, textEdit } from "../support/commit-world.ts";
import { realHaproxy } from "../support/real-factory.ts";
import { scriptedHaproxy } from "../support/scripted-factory.ts";
import { BROKEN, createScriptedHaproxy } from "../support/scripted-haproxy.ts";
import { eventually } from "../support/wait.ts";

const weight = textEdit((text) => text.replace("weight 5", "weight 6"));
const reloading = textEdit((text) => text.replace("connect 1s", "connect 2s"));

test("a haproxy.cfg that is a symbolic link stays one, and its target keeps its mode", async (t) => {
  const w = await commitWorld(t, async (directory, configuration) => {
    const under = await scriptedHaproxy(directory, configuration);
    await mkdir(join(directory, "kept"));
    await rename(join(directory, "haproxy.cfg"), join(directory, "kept/site.cfg"));
    await chmod(join(directory, "kept/site.cfg"), 0o640);
    await symlink("kept/site.cfg", join(directory, "haproxy.cfg"));
    return under;
  });
  await w.commit.change({ edit: weight });
  await w.commit.change({ edit: reloading });
  assert.ok((await lstat(w.path)).isSymbolicLink());
  assert.equal(await readlink(w.path), "kept/site.cfg");
  const target = join(w.directory, "kept/site.cfg");
  assert.equal((await stat(target)).mode & 0o777, 0o640);
  assert.match(await readFile(target, "utf8"), /connect 2s[\s\S]*weight 6/);
});

test("a symbolic link that is set to another file of the same content in the middle of a write is followed: what was answered is where HAProxy reads", async (t) => {
  let swap: (() => Promise<void>) | undefined;
  const fs = {
    ...nodeFs,
    async open(...args: Parameters<typeof nodeFs.open>) {
      const file = await nodeFs.open(...args);
      const isStaged = String(args[0]).includes(".haplane-new-");
      // When the next content is staged beside the former target.
      if (isStaged) {
        await swap?.();
        swap = undefined;
      }
      return file;
    },
  };
  const factory: typeof scriptedHaproxy = async (directory, configuration) => {
    const under = await scriptedHaproxy(directory, configuration);
    for (const name of ["one", "two"]) await mkdir(join(directory, name));
    await rename(join(directory, "haproxy.cfg"), join(directory, "one/site.cfg"));
    await symlink("one/site.cfg", join(directory, "haproxy.cfg"));
    return under;
  };
  const w = await commitWorld(t, factory, BODY, {}, fs);
  for (const edit of [weight, reloading]) {
    const [from, to] = (await readlink(w.path)) === "one/site.cfg" ? ["one", "two"] : ["two", "one"];
    swap = async () => {
      await nodeFs.copyFile(join(w.directory, from, "site.cfg"), join(w.directory, to, "site.cfg"));
      await symlink(`${to}/site.cfg`, join(w.directory, "next"));
      await rename(join(w.directory, "next"), w.path);
    };
    await w.commit.change({ edit });
    assert.equal(swap, undefined);
    assert.equal(await readlink(w.path), `${to}/site.cfg`);
    const recorded = await readRevision(w.store, w.commit.revision, w.path);
    assert.equal(await w.text(), recorded.toString());
  }
  assert.match(await w.text(), /connect 2s[\s\S]*weight 6/);
});

test("a directory in place of the file is said at the start, and held while haplane runs", async (t) => {
  const w = await commitWorld(t, scriptedHaproxy);
  const before = await w.text();
  await unlink(w.path);
  await mkdir(w.path);
  await assert.rejects(w.commit.change({ edit: weight }), { reason: "FILE_HELD", message: /is a directory/ });
  await assert.rejects(w.commit.change({ edit: reloading }), { reason: "FILE_HELD" });
  await assert.rejects(new ConfigFiles([w.path], nodeFs).peek(), {
    reason: "NOT_SUPPORTED",
    message: /is a directory/,
  });
  await rmdir(w.path);
  await writeFile(w.path, before);
  await eventually(() => assert.equal(w.commit.status.held, undefined));
  await w.commit.change({ edit: weight });
});

test("why HAProxy does not start from an empty configuration is said in its words", async (t) => {
  const w = await commitWorld(t, realHaproxy);
  const before = await w.text();
  await assert.rejects(w.commit.change({ edit: textEdit(() => "") }), {
    reason: "CONFIGURATION_REFUSED",
    message: /will not start/,
  });
  assert.equal(await w.text(), before);
});

const FIRST = `${BODY.split("backend")[0]}`;
const SECOND = `backend${BODY.split("backend")[1]}`;

/** A commit over two files. */
async function twoFiles(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), "haplane-two-"));
  const paths = [join(directory, "a.cfg"), join(directory, "b.cfg")] as const;
  await writeFile(paths[0], FIRST);
  await writeFile(paths[1], SECOND);
  const haproxy = await createScriptedHaproxy(paths);
  const logger = pino({ level: "silent" });
  const store = await openStore(join(directory, "state"), { clock: systemClock, logger, pid: process.pid });
  const commit = await Commit.open({
    ...{ paths, haproxy, store, clock: systemClock, logger, publishEphemeral: () => {} },
  });
  await haproxy.start();
  await commit.start();
  t.after(async () => {
    await commit.stop();
    await store.close();
    await rm(directory, { recursive: true });
  });
  const texts = () => Promise.all(paths.map((path) => readFile(path, "utf8")));
  return { commit, haproxy, store, paths, texts };
}

/** An edit of the text of one of several files. */
function editOf(part: number, change: (text: string) => string) {
  const edit = textEdit(change);
  return {
    ...edit,
    apply: (document: Document) => {
      const parts = document.parts.map(({ path }, index) => {
        const text = document.print(index).toString();
        return { path, bytes: Buffer.from(index === part ? change(text) : text) };
      });
      return (document.constructor as unknown as { parse(inputs: typeof parts): typeof document }).parse(
        parts,
      );
    },
  };
}

test("of several configuration files only the one that changes is replaced, and a refused reload gives both back", async (t) => {
  const { commit, haproxy, paths, texts } = await twoFiles(t);
  const inode = (await stat(paths[0])).ino;
  assert.equal((await commit.change({ edit: editOf(1, weight.text) })).via, "runtime");
  assert.deepEqual(await texts(), [FIRST, weight.text(SECOND)]);
  assert.equal((await stat(paths[0])).ino, inode);
  await commit.change({ edit: editOf(0, reloading.text) });
  assert.deepEqual(await texts(), [reloading.text(FIRST), weight.text(SECOND)]);

  const before = await texts();
  haproxy.beforeReload = async () => ({ kind: "refused", messages: [], log: "no", tookMs: 1 });
  const refused = editOf(0, (text) => text.replace("client  5s", "client 6s"));
  await assert.rejects(commit.change({ edit: refused }), { reason: "CONFIGURATION_REFUSED" });
  assert.deepEqual(await texts(), before);
});

test("an edit by hand of the second file is adopted, or held with that file's name", async (t) => {
  const { commit, haproxy, paths, texts } = await twoFiles(t);
  await writeFile(paths[1], weight.text(SECOND));
  await eventually(() => assert.ok(haproxy.servers().includes("web/b 127.0.0.1:18002 6 ready")));
  await writeFile(paths[1], `${weight.text(SECOND)}    ${BROKEN}\n`);
  await eventually(() => assert.equal(commit.status.held?.alerts[0]?.file, paths[1]));
  assert.equal(commit.status.held?.alerts[0]?.line, SECOND.split("\n").length);
  await assert.rejects(commit.change({ edit: editOf(0, reloading.text) }), { reason: "FILE_HELD" });
  assert.equal((await texts())[0], FIRST);
});
