import assert from "node:assert/strict";
import { type FileHandle, open, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Document } from "../../src/text/document.ts";
import { BODY, commitWorld, textEdit, type World } from "../support/commit-world.ts";
import { scriptedHaproxy } from "../support/scripted-factory.ts";
import { BROKEN, type ScriptedHaproxy } from "../support/scripted-haproxy.ts";
import { eventually } from "../support/wait.ts";

/** An editor that has the file open. */
async function editor(
  t: TestContext,
  w: World,
): Promise<(change: (text: string) => string) => Promise<void>> {
  const file: FileHandle = await open(w.path, "r+");
  t.after(() => file.close());
  return async (change) => {
    const text = change(await file.readFile("utf8"));
    await file.truncate();
    await file.write(text, 0);
  };
}

const weight = (to: number) => textEdit((text) => text.replace(/weight \d+/, `weight ${to}`));

test("what an editor writes into the file that was replaced is brought into the new one, and adopted", async (t) => {
  const w = await commitWorld(t, scriptedHaproxy);
  const save = await editor(t, w);
  await w.commit.change({ edit: weight(6) });
  await save((text) => text.replace("connect 1s", "connect 7s"));
  await eventually(async () => assert.match(await w.text(), /connect 7s[\s\S]*weight 6/), {
    timeoutMs: 5_000,
  });
  await eventually(async () => {
    const [newest] = await w.store.revisions.list({ limit: 1 });
    assert.equal(newest?.author, "external");
  });
  await eventually(() => assert.equal(w.reloads(), 1));
  assert.ok((w.haproxy as ScriptedHaproxy).servers().includes("web/b 127.0.0.1:18002 6 ready"));
});

test("where both changed the same, what the editor wrote is kept beside the file", async (t) => {
  const w = await commitWorld(t, scriptedHaproxy);
  const save = await editor(t, w);
  await w.commit.change({ edit: weight(60) });
  const theirs = BODY.replace("weight 5", "weight 7 check");
  await save(() => theirs);
  const aside = await eventually(
    async () => {
      const found = (await readdir(w.directory)).find((name) => name.startsWith("haproxy.cfg.by-hand-"));
      assert.ok(found);
      return found;
    },
    { timeoutMs: 5_000 },
  );
  await eventually(async () => assert.equal(await readFile(join(w.directory, aside), "utf8"), theirs));
  assert.match(await w.text(), /weight 60\n/);
});

test("what HAProxy refuses of it is held like any other edit by hand, with ours beside it", async (t) => {
  const w = await commitWorld(t, scriptedHaproxy);
  const save = await editor(t, w);
  await w.commit.change({ edit: weight(6) });
  await save((text) => text.replace("# written by hand", BROKEN));
  await eventually(() => assert.equal(w.commit.status.held?.reason, "FILE_HELD"), { timeoutMs: 5_000 });
  assert.match(await w.text(), new RegExp(`^${BROKEN}[\\s\\S]*weight 6`));
  await writeFile(w.path, (await w.text()).replace(BROKEN, "# mended"));
  await eventually(() => assert.equal(w.commit.status.held, undefined));
});

test("haplane looks once more when it stops, and the next start adopts what it found", async (t) => {
  const w = await commitWorld(t, scriptedHaproxy);
  const save = await editor(t, w);
  await w.commit.change({ edit: weight(6) });
  await save((text) => text.replace("connect 1s", "connect 7s"));
  const again = await w.restart();
  assert.match(await again.text(), /connect 7s[\s\S]*weight 6/);
  const document = Document.parse([{ path: again.path, bytes: Buffer.from(await again.text()) }]);
  assert.equal(again.commit.document.print(0).toString(), document.print(0).toString());
});
