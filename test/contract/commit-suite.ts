import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { EventKind, ReloadState } from "../../gen/haplane/v1/events_pb.js";
import type { DomainError } from "../../src/lib/errors.ts";
import {
  commitWorld,
  durableEvents,
  type HaproxyFactory,
  server,
  textEdit,
} from "../support/commit-world.ts";
import { eventually } from "../support/wait.ts";

/** What every HAProxy has to see of the commit, the scripted and the real one alike. */
export function commitSuite(name: string, factory: HaproxyFactory): void {
  describe(`the commit over ${name}`, () => {
    test("a membership change is live without a reload, then in the file, then in the history", async (t) => {
      const w = await commitWorld(t, factory);
      const results = await w.commit.target.changeServers(
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
      const durable = await durableEvents(w.store, EventKind.SERVER);
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
      const w = await commitWorld(t, factory);
      const before = await w.text();
      const names = ["one", "two", "three"];
      await Promise.all(
        names.map((id) =>
          w.commit.target.createBackends([{ name: id, servers: [server("s", 18010, 1)] }], "sources/test"),
        ),
      );
      assert.equal(w.reloads(), 1);
      assert.ok((await w.text()).startsWith(before));
      assert.deepEqual(
        (await w.servers()).filter((line) => !line.startsWith("web/")),
        names.map((id) => `${id}/s 127.0.0.1:18010 1 ready`).sort(),
      );
      const reloads = await durableEvents(w.store, EventKind.RELOAD);
      assert.deepEqual(
        reloads.map(({ payload }) => payload.case === "reload" && payload.value.state),
        [ReloadState.RUNNING, ReloadState.SUCCEEDED],
      );
      assert.deepEqual(
        await w.commit.target.changeServers(
          "two",
          [{ kind: "add", ...server("t", 18011, 2) }],
          "sources/test",
        ),
        [{ ok: true }],
      );
      assert.equal(w.reloads(), 1);
    });

    test("what cannot be done is said for each change, and the others are made", async (t) => {
      const w = await commitWorld(t, factory);
      const results = await w.commit.target.changeServers(
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
      const w = await commitWorld(t, factory);
      await w.commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test");
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
      assert.equal(revisions.at(-1)?.message, "found at the first start");
    });

    test("an edit by hand just before our write is not overwritten, and ours is made on top of it", async (t) => {
      const w = await commitWorld(t, factory);
      await w.commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test");
      await writeFile(w.path, (await w.text()).replace("# written by hand", "# written by hand, again"));
      await eventually(async () => {
        const text = await w.text();
        assert.match(text, /# written by hand, again/);
        assert.match(text, /server c/);
      });
    });

    test("while HAProxy refuses an edit by hand it is left alone, discovery goes on, and mending it brings all together", async (t) => {
      const w = await commitWorld(t, factory);
      const good = await w.text();
      const bad = `${good}backend broken\n    no-such-keyword here\n`;
      await writeFile(w.path, bad);
      await eventually(() => assert.equal(w.commit.status.held?.reason, "FILE_HELD"));
      assert.match(w.commit.status.held?.alerts[0]?.message ?? "", /no-such-keyword/);
      assert.equal(w.commit.status.held?.alerts[0]?.resource, "backends/broken");
      assert.deepEqual(
        await w.commit.target.changeServers(
          "web",
          [{ kind: "add", ...server("c", 18003, 3) }],
          "sources/test",
        ),
        [{ ok: true }],
      );
      assert.ok((await w.servers()).includes("web/c 127.0.0.1:18003 1 ready"));
      await assert.rejects(w.commit.target.createBackends([{ name: "one", servers: [] }], "sources/test"), {
        reason: "FILE_HELD",
      });
      assert.equal(await w.text(), bad);
      await writeFile(w.path, good);
      await eventually(async () => assert.match(await w.text(), /server c/));
      assert.equal(w.commit.status.held, undefined);
      await w.commit.target.createBackends([{ name: "one", servers: [] }], "sources/test");
    });

    test("a drain set by hand on the socket survives a reload of ours", async (t) => {
      const w = await commitWorld(t, factory);
      await w.drainByHand("web", "a");
      await w.commit.target.createBackends([{ name: "one", servers: [] }], "sources/test");
      assert.ok((await w.servers()).includes("web/a 127.0.0.1:18001 1 drain"));
    });

    test("a restart goes on with the same history, and takes out of the worker what it has too much", async (t) => {
      const w = await commitWorld(t, factory);
      await w.commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test");
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
      assert.deepEqual(await again.commit.target.changeServers("web", [], "sources/test"), []);
      assert.deepEqual(
        (await again.servers()).map((line) => line.split(" ")[0]),
        ["web/a", "web/b", "web/c"],
      );
      assert.equal(again.reloads(), 0);
    });

    test("what somebody asks for is durable before it is live, by commands where HAProxy can follow", async (t) => {
      const w = await commitWorld(t, factory);
      const before = await w.text();
      const edit = textEdit((text) =>
        text
          .replace("weight 5", "weight 50")
          .replace("id 1\n", "id 1\n    server c 127.0.0.1:18003 id 3 disabled\n"),
      );
      const outcome = await w.commit.change({ edit });
      assert.equal(outcome.via, "runtime");
      assert.deepEqual(await w.servers(), [
        "web/a 127.0.0.1:18001 1 ready",
        "web/b 127.0.0.1:18002 50 ready",
        "web/c 127.0.0.1:18003 1 maint",
      ]);
      assert.equal(await w.text(), edit.text(before));
      assert.equal(w.reloads(), 0);
      const revision = await w.store.revisions.get(outcome.revision);
      assert.deepEqual(
        [revision.lane, revision.author, revision.message],
        ["runtime", "tester", "changes the text"],
      );
      const events = await durableEvents(w.store, EventKind.SERVER);
      assert.deepEqual(
        events.map(({ resource, revision: in_ }) => [resource, Number(in_)]),
        [
          ["backends/web/servers/c", outcome.revision],
          ["backends/web/servers/b", outcome.revision],
        ],
      );
    });

    test("what HAProxy cannot follow by commands is checked and reloaded, with the reason in the answer", async (t) => {
      const w = await commitWorld(t, factory);
      const edit = textEdit((text) => text.replace("weight 5", "weight 5 maxconn 7"));
      const outcome = await w.commit.change({ edit });
      assert.deepEqual(
        [outcome.via, outcome.reasons, outcome.reload],
        ["reload", ["changes maxconn of server web/b"], 1],
      );
      assert.match(await w.text(), /weight 5 maxconn 7/);
      assert.equal(w.reloads(), 1);
    });

    test("a comment needs nothing of HAProxy, and is in the file and the history", async (t) => {
      const w = await commitWorld(t, factory);
      const outcome = await w.commit.change({
        edit: textEdit((text) => text.replace("# the first", "# the very first")),
      });
      assert.deepEqual([outcome.via, outcome.commands, w.reloads()], ["none", [], 0]);
      assert.match(await w.text(), /# the very first/);
      const again = await w.commit.change({ edit: textEdit((text) => text) });
      assert.deepEqual([again.via, again.revision], ["none", outcome.revision]);
    });

    test("validating makes every check and changes nothing", async (t) => {
      const w = await commitWorld(t, factory);
      const before = await w.text();
      const good = await w.commit.change({
        edit: textEdit((text) => text.replace("weight 5", "weight 6")),
        validateOnly: true,
      });
      assert.deepEqual([good.via, good.commands], ["runtime", ["set server web/b weight 6"]]);
      const adding = await w.commit.change({
        edit: textEdit((text) =>
          text.replace("id 1\n", "id 1\n    server c 127.0.0.1:18003 id 3 check inter 2s\n"),
        ),
        validateOnly: true,
      });
      assert.deepEqual(adding.commands, [
        "add server web/c 127.0.0.1:18003 pool-purge-delay 5s pool-max-conn -1 id 3 check inter 2s",
        "enable health web/c",
        "set server web/c state ready",
      ]);
      const bad = w.commit.change({
        edit: textEdit((text) => `${text}backend x\n    no-such-keyword\n`),
        validateOnly: true,
      });
      await assert.rejects(
        bad,
        (error: DomainError) =>
          error.reason === "CONFIGURATION_REFUSED" && error.alerts[0]?.resource === "backends/x",
      );
      assert.deepEqual([await w.text(), w.reloads()], [before, 0]);
    });

    test("serial: concurrent changes of different servers all win, and one for an older revision does not", async (t) => {
      const w = await commitWorld(t, factory);
      const base = w.commit.revision;
      const names = Array.from({ length: 20 }, (_, index) => `s${index}`);
      const outcomes = await Promise.all(
        names.map((name, index) =>
          w.commit.change({
            edit: textEdit((text) =>
              text.replace(
                /(server b .*\n)/,
                `$1    server ${name} 127.0.0.1:${19_000 + index} id ${100 + index}\n`,
              ),
            ),
          }),
        ),
      );
      assert.deepEqual([...new Set(outcomes.map(({ via }) => via))], ["runtime"]);
      const text = await w.text();
      for (const name of names) assert.match(text, new RegExp(`server ${name} `));
      assert.equal((await w.servers()).length, 22);
      const late = w.commit.change({
        edit: textEdit((all) => all.replace("weight 5", "weight 6")),
        baseRevision: base,
      });
      await assert.rejects(
        late,
        (error: DomainError) => error.reason === "ETAG_MISMATCH" && error.metadata.sent === String(base),
      );
      assert.equal(await w.text(), text);
    });

    test("a base revision guards against everybody but discovery", async (t) => {
      const w = await commitWorld(t, factory);
      const base = w.commit.revision;
      await w.commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test");
      await eventually(() => assert.ok(w.commit.revision > base));
      const again = await w.restart();
      await again.commit.change({
        edit: textEdit((text) => text.replace("weight 5", "weight 6")),
        baseRevision: base,
      });
      const late = again.commit.change({
        edit: textEdit((text) => text.replace("weight 6", "weight 7")),
        baseRevision: base,
      });
      await assert.rejects(late, { reason: "ETAG_MISMATCH" });
    });

    test("a chroot that HAProxy's check does not look at is refused before it kills HAProxy", async (t) => {
      const w = await commitWorld(t, factory);
      const before = await w.text();
      const edit = textEdit((text) => `global\n    chroot ${w.directory}/missing\n\n${text}`);
      for (const validateOnly of [true, false]) {
        await assert.rejects(w.commit.change({ edit, validateOnly }), (error: DomainError) => {
          assert.equal(error.reason, "CONFIGURATION_REFUSED");
          assert.deepEqual([error.alerts[0]?.file, error.alerts[0]?.line], [w.path, 2]);
          return true;
        });
      }
      assert.deepEqual([await w.text(), w.reloads()], [before, 0]);
    });

    test("nothing but the lock is left beside the file, and not even that when haplane stops", async (t) => {
      const w = await commitWorld(t, factory);
      await w.commit.target.createBackends([{ name: "one", servers: [] }], "sources/test");
      assert.deepEqual(
        (await readdir(w.directory)).filter((name) => name.startsWith(".haproxy.cfg")),
        [".haproxy.cfg.haplane-lock"],
      );
      await w.commit.stop();
      assert.deepEqual(
        (await readdir(w.directory)).filter((name) => name.startsWith(".haproxy.cfg")),
        [],
      );
    });
  });
}
