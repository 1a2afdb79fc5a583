import assert from "node:assert/strict";
import * as nodeFs from "node:fs/promises";
import { type TestContext, test } from "node:test";
import { readRevision } from "../../src/commit/history.ts";
import type { FileSystem } from "../../src/lib/durable-file.ts";
import { DomainError } from "../../src/lib/errors.ts";
import { BODY, commitWorld, server, textEdit, type World } from "../support/commit-world.ts";
import { scriptedHaproxy } from "../support/scripted-factory.ts";
import type { ScriptedHaproxy } from "../support/scripted-haproxy.ts";
import { eventually } from "../support/wait.ts";

const WRITERS = 40;

/** A backend with a server for each writer. */
const MANY = `${BODY}${Array.from({ length: WRITERS }, (_, n) => `    server w${n} 127.0.0.1:${19_000 + n} id ${100 + n} weight 1\n`).join("")}`;

/** A disk that counts replacements, can be full, and calls somebody before each replacement. */
interface Disk {
  replaced: number;
  full: boolean;
  beforeReplacing: () => Promise<void>;
}

async function world(t: TestContext): Promise<{ w: World; disk: Disk; haproxy: ScriptedHaproxy }> {
  const disk: Disk = { replaced: 0, full: false, beforeReplacing: async () => {} };
  const fs: FileSystem = {
    ...nodeFs,
    rename: async (from, to) => {
      await disk.beforeReplacing();
      if (disk.full) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      disk.replaced += 1;
      await nodeFs.rename(from, to);
    },
  };
  const w = await commitWorld(t, scriptedHaproxy, MANY, {}, fs);
  return { w, disk, haproxy: w.haproxy as ScriptedHaproxy };
}

const weigh = (name: string, weight: number) =>
  textEdit((text) => text.replace(new RegExp(`(server ${name} .*weight )\\d+`), `$1${weight}`));

const all = <T>(make: (n: number) => Promise<T>) => Array.from({ length: WRITERS }, (_, n) => make(n));

test("serial: writers at once share the write of the file, and each has a revision and an answer of its own", async (t) => {
  const { w, disk, haproxy } = await world(t);
  const outcomes = await Promise.all(all((n) => w.commit.change({ edit: weigh(`w${n}`, n + 2) })));
  assert.ok(disk.replaced <= 3, `the file was replaced ${disk.replaced} times`);
  const revisions = outcomes.map(({ revision }) => revision);
  assert.equal(new Set(revisions).size, WRITERS);
  for (const [n, { revision, after, commands, via }] of outcomes.entries()) {
    assert.deepEqual([via, commands], ["runtime", [`set server web/w${n} weight ${n + 2}`]]);
    const recorded = (await readRevision(w.store, revision, w.path)).toString();
    assert.equal(after.print(0).toString(), recorded);
    assert.match(recorded, new RegExp(`server w${n} .*weight ${n + 2}\n`));
    const former = (await readRevision(w.store, revision - 1, w.path)).toString();
    assert.equal(weigh(`w${n}`, n + 2).text(former), recorded, "a revision holds one writer's change");
  }
  const newest = (await readRevision(w.store, w.store.newestRevision, w.path)).toString();
  assert.equal(await w.text(), newest);
  for (const n of outcomes.keys())
    assert.ok(haproxy.servers().includes(`web/w${n} 127.0.0.1:${19_000 + n} ${n + 2} ready`));
  await eventually(async () => assert.deepEqual(await w.store.pendingIntents(), []));
});

test("one whose guard does not hold fails alone, and is judged on what those before it wrote", async (t) => {
  const { w } = await world(t);
  const guarded = textEdit((text) => {
    if (/server w0 .*weight 9\n/.test(text)) throw new DomainError("ETAG_MISMATCH", "w0 weighs 9 by now");
    return text.replace("weight 5", "weight 6");
  });
  const first = w.commit.change({ edit: weigh("w1", 7) });
  const [, one, late, two] = await Promise.allSettled([
    first,
    w.commit.change({ edit: weigh("w0", 9) }),
    w.commit.change({ edit: guarded }),
    w.commit.change({ edit: weigh("w2", 9) }),
  ]);
  assert.deepEqual([one.status, late.status, two.status], ["fulfilled", "rejected", "fulfilled"]);
  assert.match(await w.text(), /weight 5\n/);
});

test("when the disk is full all of them are told, and nothing has changed", async (t) => {
  const { w, disk, haproxy } = await world(t);
  const [before, revision] = [await w.text(), w.commit.revision];
  disk.full = true;
  const outcomes = await Promise.allSettled(all((n) => w.commit.change({ edit: weigh(`w${n}`, 9) })));
  assert.deepEqual([...new Set(outcomes.map(({ status }) => status))], ["rejected"]);
  assert.deepEqual([await w.text(), w.commit.revision], [before, revision]);
  assert.equal(w.commit.document.print(0).toString(), before);
  assert.ok(!haproxy.asked.some((asked) => asked.startsWith("set")));
  disk.full = false;
  await w.commit.change({ edit: weigh("w0", 9) });
  await eventually(async () => assert.deepEqual(await w.store.pendingIntents(), []));
});

test("an edit by hand in the middle of their write, and discovery's, are kept with all of theirs", async (t) => {
  const { w, disk } = await world(t);
  disk.beforeReplacing = async () => {
    disk.beforeReplacing = async () => {};
    await w.commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test");
    await nodeFs.writeFile(w.path, (await w.text()).replace("# the first", "# mine"));
  };
  const outcomes = await Promise.all(all((n) => w.commit.change({ edit: weigh(`w${n}`, n + 2) })));
  assert.equal(new Set(outcomes.map(({ revision }) => revision)).size, WRITERS);
  await eventually(async () => {
    const text = await w.text();
    assert.match(text, /# mine/);
    assert.match(text, /server c /);
    for (const n of outcomes.keys()) assert.match(text, new RegExp(`server w${n} .*weight ${n + 2}\n`));
  });
});
