import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { pino } from "pino";
import { type Event, EventKind, ReloadState } from "../../gen/haplane/v1/events_pb.js";
import { Commit } from "../../src/commit/commit.ts";
import type { NewServer } from "../../src/discovery/target.ts";
import type { Haproxy } from "../../src/haproxy/haproxy.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { eventually } from "../support/wait.ts";

/** An HAProxy for the suite: what the configuration must have in `global` for it, and the process. */
export interface HaproxyUnderTest {
  readonly haproxy: Haproxy;
  /** `backend/server address:port weight state`, sorted, as the accepting worker has them. */
  servers(): Promise<readonly string[]>;
  /** Somebody drains a server by hand, on the socket. */
  drainByHand(backend: string, server: string): Promise<void>;
  /** How often it was reloaded. */
  reloads(): number;
  end(): Promise<void>;
}

/** Makes one over a configuration file that it may still have to complete. */
export type HaproxyFactory = (directory: string, configuration: string) => Promise<HaproxyUnderTest>;

const BODY = `# written by hand
defaults
    mode http
    timeout connect 1s
    timeout client  5s
    timeout server  5s

backend web   # the first
    server a 127.0.0.1:18001 id 1
    server b 127.0.0.1:18002 id 2 weight 5
`;

const server = (name: string, port: number, id: number, weight = 1): NewServer => ({
  name,
  address: "127.0.0.1",
  port,
  weight,
  id,
});

interface World extends HaproxyUnderTest {
  readonly directory: string;
  readonly path: string;
  readonly commit: Commit;
  readonly store: Store;
  readonly planned: Event[];
  text(): Promise<string>;
  /** Stops the commit and begins anew over the same files, store and HAProxy. */
  restart(): Promise<World>;
}

async function world(t: TestContext, factory: HaproxyFactory, body = BODY): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), "haplane-commit-"));
  const path = join(directory, "haproxy.cfg");
  const under = await factory(directory, body);
  const closers: (() => Promise<void>)[] = [];
  t.after(async () => {
    for (const close of closers.reverse()) await close();
    await under.end();
    await rm(directory, { recursive: true, force: true });
  });
  const logger = pino({ level: "silent" });
  const open = async (): Promise<World> => {
    const store = await openStore(join(directory, "state"), { clock: systemClock, logger, pid: process.pid });
    const planned: Event[] = [];
    const publishEphemeral = (events: readonly Event[]) => void planned.push(...events);
    const commit = await Commit.open({
      paths: [path],
      haproxy: under.haproxy,
      store,
      clock: systemClock,
      logger,
      publishEphemeral,
    });
    if (under.haproxy.state.kind !== "running") await under.haproxy.start();
    await commit.start();
    const close = once(async () => {
      await commit.stop();
      await store.close();
    });
    closers.push(close);
    return {
      ...{
        haproxy: under.haproxy,
        servers: under.servers,
        drainByHand: under.drainByHand,
        reloads: under.reloads,
        end: under.end,
      },
      ...{ directory, path, commit, store, planned },
      text: () => readFile(path, "utf8"),
      async restart() {
        await close();
        return open();
      },
    };
  };
  return open();
}

function once(action: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= action();
    return done;
  };
}

async function events(store: Store, kind: EventKind): Promise<Event[]> {
  const { entries } = await store.events.read(0, { events: 10_000, bytes: 1e8 });
  const { fromBinary } = await import("@bufbuild/protobuf");
  const { EventSchema } = await import("../../gen/haplane/v1/events_pb.js");
  return entries
    .flatMap((entry) => entry.events.map(({ bytes }) => fromBinary(EventSchema, bytes)))
    .filter((event) => event.kind === kind);
}

/** What every HAProxy has to see of the commit, the scripted and the real one alike. */
export function commitSuite(name: string, factory: HaproxyFactory): void {
  describe(`the commit over ${name}`, () => {
    test("a membership change is live without a reload, then in the file, then in the history", async (t) => {
      const w = await world(t, factory);
      const results = await w.commit.changeServers(
        "web",
        [
          { kind: "add", ...server("c", 18003, 3, 7) },
          { kind: "set-weight", name: "a", weight: 9 },
          { kind: "remove", name: "b" },
        ],
        "sources/test",
      );
      assert.deepEqual(results, [{ ok: true }, { ok: true }, { ok: true }]);
      assert.deepEqual(await w.servers(), ["web/a 127.0.0.1:18001 9 ready", "web/c 127.0.0.1:18003 7 ready"]);
      const expected = (await w.text())
        .replace("id 1\n", "id 1 weight 9\n")
        .replace(/ {4}server b .*\n/, "    server c 127.0.0.1:18003 id 3 weight 7\n");
      await eventually(async () => assert.equal(await w.text(), expected));
      assert.equal(w.reloads(), 0);
      await eventually(async () =>
        assert.equal((await w.store.revisions.get(w.store.newestRevision)).lane, "discovery"),
      );
      const revision = await w.store.revisions.get(w.store.newestRevision);
      assert.equal(revision.author, "sources/test");
      assert.deepEqual(
        revision.resources,
        ["c", "a", "b"].map((id) => `backends/web/servers/${id}`),
      );
      const durable = await events(w.store, EventKind.SERVER);
      assert.deepEqual(
        durable.map((event) => [event.resource, event.revision, event.ephemeral]),
        revision.resources.map((resource) => [resource, BigInt(revision.number), false]),
      );
      assert.ok(w.planned.every((event) => event.payload.case === "server" && event.payload.value.planned));
      assert.deepEqual(
        w.planned.map((event) => event.resource),
        revision.resources,
      );
    });

    test("backends that appear together cost one reload, and what was there stays to the byte", async (t) => {
      const w = await world(t, factory);
      const before = await w.text();
      const names = ["one", "two", "three"];
      await Promise.all(
        names.map((id) =>
          w.commit.createBackends([{ name: id, servers: [server("s", 18010, 1)] }], "sources/test"),
        ),
      );
      assert.equal(w.reloads(), 1);
      assert.ok((await w.text()).startsWith(before));
      assert.deepEqual(
        (await w.servers()).filter((line) => !line.startsWith("web/")),
        names.map((id) => `${id}/s 127.0.0.1:18010 1 ready`).sort(),
      );
      const reloads = await events(w.store, EventKind.RELOAD);
      assert.deepEqual(
        reloads.map(({ payload }) => payload.case === "reload" && payload.value.state),
        [ReloadState.RUNNING, ReloadState.SUCCEEDED],
      );
      assert.deepEqual(
        await w.commit.changeServers("two", [{ kind: "add", ...server("t", 18011, 2) }], "sources/test"),
        [{ ok: true }],
      );
      assert.equal(w.reloads(), 1);
    });

    test("what cannot be done is said for each change, and the others are made", async (t) => {
      const w = await world(t, factory);
      const results = await w.commit.changeServers(
        "web",
        [
          { kind: "remove", name: "missing" },
          { kind: "add", ...server("a", 18009, 9) },
          { kind: "set-address", name: "a", address: "127.0.0.1", port: 18007 },
        ],
        "sources/test",
      );
      assert.deepEqual(
        results.map((result) => (result.ok ? "ok" : result.error.reason)),
        ["RESOURCE_NOT_FOUND", "RESOURCE_EXISTS", "ok"],
      );
      assert.ok((await w.servers()).includes("web/a 127.0.0.1:18007 1 ready"));
    });

    test("an edit by hand is adopted, and what was live before it stays", async (t) => {
      const w = await world(t, factory);
      await w.commit.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test");
      await eventually(async () => assert.match(await w.text(), /server c/));
      await writeFile(
        w.path,
        (await w.text()).replace("# the first", "# mine").replace("weight 5", "weight 6"),
      );
      await eventually(async () => assert.ok((await w.servers()).includes("web/b 127.0.0.1:18002 6 ready")));
      assert.match(await w.text(), /# mine/);
      assert.ok((await w.servers()).includes("web/c 127.0.0.1:18003 1 ready"));
      const revisions = await w.store.revisions.list({ limit: 10 });
      assert.equal(revisions.find(({ author }) => author === "external")?.message, "edited by hand");
    });

    test("an edit by hand just before our write is not overwritten, and ours is made on top of it", async (t) => {
      const w = await world(t, factory);
      await w.commit.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test");
      await writeFile(w.path, (await w.text()).replace("# written by hand", "# written by hand, again"));
      await eventually(async () => {
        const text = await w.text();
        assert.match(text, /# written by hand, again/);
        assert.match(text, /server c/);
      });
    });

    test("while HAProxy refuses an edit by hand it is left alone, discovery goes on, and mending it brings all together", async (t) => {
      const w = await world(t, factory);
      const good = await w.text();
      const bad = `${good}backend broken\n    no-such-keyword here\n`;
      await writeFile(w.path, bad);
      await eventually(() => assert.equal(w.commit.status.held?.reason, "FILE_HELD"));
      assert.match(w.commit.status.held?.alerts[0]?.message ?? "", /no-such-keyword/);
      assert.equal(w.commit.status.held?.alerts[0]?.resource, "backends/broken");
      assert.deepEqual(
        await w.commit.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test"),
        [{ ok: true }],
      );
      assert.ok((await w.servers()).includes("web/c 127.0.0.1:18003 1 ready"));
      await assert.rejects(w.commit.createBackends([{ name: "one", servers: [] }], "sources/test"), {
        reason: "FILE_HELD",
      });
      assert.equal(await w.text(), bad);
      await writeFile(w.path, good);
      await eventually(async () => assert.match(await w.text(), /server c/));
      assert.equal(w.commit.status.held, undefined);
      await w.commit.createBackends([{ name: "one", servers: [] }], "sources/test");
    });

    test("a drain set by hand on the socket survives a reload of ours", async (t) => {
      const w = await world(t, factory);
      await w.drainByHand("web", "a");
      await w.commit.createBackends([{ name: "one", servers: [] }], "sources/test");
      assert.ok((await w.servers()).includes("web/a 127.0.0.1:18001 1 drain"));
    });

    test("a restart goes on with the same history, and takes out of the worker what it has too much", async (t) => {
      const w = await world(t, factory);
      await w.commit.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test");
      const revision = await eventually(() => {
        assert.ok(w.store.newestRevision > 1);
        return w.store.newestRevision;
      });
      await w.haproxy.runtime.applyServers([
        {
          kind: "add",
          backend: "web",
          server: "ghost",
          address: "127.0.0.1",
          port: 18066,
          words: ["id", "66"],
        },
      ]);
      const again = await w.restart();
      assert.equal(again.store.newestRevision, revision);
      assert.deepEqual(await again.commit.changeServers("web", [], "sources/test"), []);
      assert.deepEqual(
        (await again.servers()).map((line) => line.split(" ")[0]),
        ["web/a", "web/b", "web/c"],
      );
      assert.equal(again.reloads(), 0);
    });

    test("nothing is left beside the file", async (t) => {
      const w = await world(t, factory);
      await w.commit.createBackends([{ name: "one", servers: [] }], "sources/test");
      assert.deepEqual(
        (await readdir(w.directory)).filter((name) => name.startsWith(".haproxy.cfg")),
        [],
      );
    });
  });
}
