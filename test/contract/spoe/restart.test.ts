import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import pino from "pino";
import { EventKind, EventType, TransactionState } from "../../../gen/haplane/v1/events_pb.js";
import { SpoeChangeSchema } from "../../../gen/haplane/v1/spoe_pb.js";
import { systemClock } from "../../../src/lib/clock.ts";
import { openSpoe } from "../../../src/service/open-spoe.ts";
import { commitWorld, durableEvents, type World } from "../../support/commit-world.ts";
import { scriptedHaproxy } from "../../support/scripted-factory.ts";
import { eventually } from "../../support/wait.ts";

const user = { name: "ann", isAdmin: false };
const logger = pino({ level: "silent" });

/** The SPOE files of a haplane, which can begin anew over what it has left. */
async function spoeWorld(t: TestContext) {
  const first = await commitWorld(t, scriptedHaproxy);
  const open = async (world: World) => {
    const tools = await openSpoe({
      ...{ commit: world.commit, haproxy: world.haproxy, store: world.store },
      ...{ clock: systemClock, logger, path: join(world.directory, "spoe"), readOnly: false },
      owner: { user: undefined, group: undefined },
    });
    t.after(() => tools.stop());
    const at = (name: string) => join(world.directory, "spoe", name);
    return {
      ...tools,
      world,
      at,
      again: async () => {
        await tools.stop();
        return open(await world.restart());
      },
    };
  };
  return open(first);
}

function scope(id: string) {
  const operation = {
    case: "create" as const,
    value: { resource: { name: `spoe/a.conf/scopes/${id}`, kind: { case: "scope" as const, value: {} } } },
  };
  return { changes: [create(SpoeChangeSchema, { operation })], desired: [], prune: [], single: true };
}

const upload = (text: string, name = "a.conf") => ({
  ...{ name, bytes: Buffer.from(text), etag: "", createOnly: false, validateOnly: false },
  ...{ author: user.name, message: () => "stores it" },
});

const removal = { author: user.name, message: () => "removes it", validateOnly: false };

test("versions and open transactions survive a restart, and an edit meanwhile is the next version", async (t) => {
  const first = await spoeWorld(t);
  assert.equal((await first.files.upload(upload(""))).version, 1);
  assert.equal((await first.files.upload(upload("[one]\n"))).version, 2);
  assert.equal((await first.files.upload(upload("[one]\n"))).version, 2, "nothing differs");
  const own = await first.transactions.of("a.conf");
  const { name } = await own.begin(user.name, 60_000);
  await own.stage(name, user, scope("two"), true);

  const second = await first.again();
  assert.equal((await second.files.get("a.conf")).version, 2);
  const again = await second.transactions.of("a.conf");
  assert.deepEqual(
    again.list().map((view) => [view.name, view.writes, view.baseRevision]),
    [[name, 1, 2]],
  );
  await writeFile(second.at("a.conf"), "# by hand\n[one]\n");
  assert.equal((await second.files.get("a.conf")).version, 3);
  const outcome = await again.commit(name, user, { validateOnly: false, message: "" });
  assert.equal(outcome.version, 4);
  assert.equal(await readFile(second.at("a.conf"), "utf8"), "# by hand\n[one]\n\n[two]\n");

  const third = await second.again();
  assert.equal((await third.files.get("a.conf")).version, 4);
  assert.deepEqual((await third.transactions.of("a.conf")).list(), []);
});

test("a version says who, why and what, and watchers are told with its revision", async (t) => {
  const { files, world, at } = await spoeWorld(t);
  await files.upload(upload("[one]\nspoe-message m\n"));
  await writeFile(at("a.conf"), "[one]\nspoe-message n\n");
  await files.get("a.conf");
  await files.remove("a.conf", "", removal);
  const versions = await world.store.fileVersions.list({ file: "spoe/a.conf", limit: 10 });
  const base = "spoe/a.conf/scopes/one";
  assert.deepEqual(
    versions.map(({ number, author, message, resources }) => [number, author, message, resources.join()]),
    [
      [3, "ann", "removes it", `${base},${base}/messages/n`],
      [2, "external", "the file was written by hand", `${base}/messages/n,${base}/messages/m`],
      [1, "ann", "stores it", `${base},${base}/messages/m`],
    ],
  );
  const { content } = await world.store.fileVersions.read("spoe/a.conf", 1);
  assert.equal(Buffer.from(content!).toString(), "[one]\nspoe-message m\n");
  const events = await durableEvents(world.store, EventKind.FILE);
  assert.deepEqual(
    events.map(({ type, resource, author, revision, payload }) => {
      assert.ok(payload.case === "file");
      const { version } = payload.value;
      return [type, resource, author, Number(revision), Number(version)];
    }),
    [
      [EventType.ADDED, "spoe/a.conf", "ann", versions[2]!.revision, 1],
      [EventType.UPDATED, "spoe/a.conf", "external", 0, 2],
      [EventType.REMOVED, "spoe/a.conf", "ann", versions[0]!.revision, 3],
    ],
  );
});

test("numbers of versions are never used anew, however a file goes and comes back", async (t) => {
  const first = await spoeWorld(t);
  await first.files.upload(upload("[one]\n"));
  await first.files.remove("a.conf", "", removal);
  assert.equal((await first.files.upload(upload("[one]\n"))).version, 3);
  await rm(first.at("a.conf"));
  const second = await first.again();
  assert.equal(await second.files.find("a.conf"), undefined);
  assert.equal((await second.files.upload(upload(""))).version, 5);
  await rm(second.at("a.conf"));
  assert.equal(await second.files.find("a.conf"), undefined);
  await writeFile(second.at("a.conf"), "# by hand\n");
  assert.equal((await second.files.get("a.conf")).version, 7);
  const events = await durableEvents(second.world.store, EventKind.FILE);
  const { ADDED, REMOVED } = EventType;
  assert.deepEqual(
    events.map(({ type }) => type),
    [ADDED, REMOVED, ADDED, REMOVED, ADDED, REMOVED, ADDED],
  );
});

test("what is only tried leaves no version, no file and no event", async (t) => {
  const { files, world } = await spoeWorld(t);
  const outcome = await files.upload({ ...upload("[one]\n"), validateOnly: true });
  assert.equal(outcome.version, 0);
  assert.deepEqual(await world.store.fileVersions.newest(), []);
  assert.deepEqual(await files.list(), []);
  assert.deepEqual(await durableEvents(world.store, EventKind.FILE), []);
});

test("an edit and a removal by hand are versions without being asked for, also while nobody was there", async (t) => {
  const { files, world, at, again, present } = await spoeWorld(t);
  await files.upload(upload("[one]\n"));
  await files.upload(upload("[one]\n", "b.conf"));
  await writeFile(at("a.conf"), "[two]\n");
  await eventually(async () => {
    const [newest] = await world.store.fileVersions.list({ file: "spoe/a.conf", limit: 1 });
    assert.deepEqual([newest?.number, newest?.author], [2, "external"]);
  });
  const current = (await present()).map(({ type, resource, author }) => [type, resource, author]);
  assert.deepEqual(current, [
    [EventType.CURRENT, "spoe/a.conf", "external"],
    [EventType.CURRENT, "spoe/b.conf", "ann"],
  ]);
  await rm(at("b.conf"));
  const { world: later } = await again();
  const [gone] = await later.store.fileVersions.list({ file: "spoe/b.conf", limit: 1 });
  assert.deepEqual([gone?.number, gone?.sha256], [2, ""]);
});

test("watchers are told of a transaction when it is begun, of each write, and what became of it, with its revision", async (t) => {
  const { files, transactions, world } = await spoeWorld(t);
  await files.upload(upload(""));
  const own = await transactions.of("a.conf");
  const first = await own.begin(user.name, 60_000);
  await own.stage(first.name, user, scope("one"), true);
  await own.commit(first.name, user, { validateOnly: false, message: "" });
  const second = await own.begin(user.name, 60_000);
  await own.abort(second.name, user);
  const third = await own.begin(user.name, 60_000);
  await own.commit(third.name, user, { validateOnly: false, message: "" });
  const [committed] = await world.store.fileVersions.list({ file: "spoe/a.conf", limit: 1 });
  const { OPEN, COMMITTED, ABORTED } = TransactionState;
  const told = (await durableEvents(world.store, EventKind.TRANSACTION)).map((event) => {
    assert.ok(event.payload.case === "transaction");
    const { state, resources } = event.payload.value;
    return [event.resource, event.type, state, Number(event.revision), resources.join()];
  });
  const { ADDED, UPDATED, REMOVED } = EventType;
  assert.deepEqual(told, [
    [first.name, ADDED, OPEN, 0, ""],
    [first.name, UPDATED, OPEN, 0, "spoe/a.conf/scopes/one"],
    [first.name, REMOVED, COMMITTED, committed?.revision, "spoe/a.conf/scopes/one"],
    [second.name, ADDED, OPEN, 0, ""],
    [second.name, REMOVED, ABORTED, 0, ""],
    [third.name, ADDED, OPEN, 0, ""],
    [third.name, REMOVED, COMMITTED, 0, ""],
  ]);
});
