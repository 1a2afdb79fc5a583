import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { Applied_Via } from "../../../gen/haplane/v1/configuration_pb.js";
import { AdminReason, AdminState, HealthOverride } from "../../../gen/haplane/v1/runtime_pb.js";
import { failureOf } from "../../support/configuration-client.ts";
import { freePort } from "../../support/ports.ts";
import { runtimeWorld, STACKS } from "../../support/runtime-world.ts";

const world = runtimeWorld(
  async () => `frontend web
  bind 127.0.0.1:${await freePort()}
  maxconn 123
  default_backend app
backend app
  balance random
  server a 127.0.0.1:18001 weight 7
  server b 127.0.0.1:18002 check inter 1h
  server c 127.0.0.1:18003 disabled
`,
);

const A = "backends/app/servers/a";
const file = () => readFileSync(world.haplane.config, "utf8");

for (const stack of STACKS) {
  describe(`servers over ${stack}`, { timeout: 60_000 }, () => {
    test("a server is seen beside its configuration", async () => {
      const { server } = await world.client(stack).getServer({ name: "backends/app/servers/c" });
      assert.deepEqual(server?.adminReasons, [AdminReason.CONFIGURED_MAINT, AdminReason.FORCED_MAINT].sort());
      assert.equal(server?.adminState, AdminState.MAINT);
      const { configuration, runtimeOnly, stats, check } = server ?? {};
      assert.deepEqual(
        [configuration?.address, configuration?.port, configuration?.weight, configuration?.adminState],
        ["127.0.0.1", 18003, 1, AdminState.MAINT],
      );
      assert.deepEqual([runtimeOnly, stats?.status, check?.configured], [[], "MAINT", false]);
    });

    test("what is set at runtime only is marked, and can be persisted", async () => {
      const client = world.client(stack);
      const before = file();
      const set = await client.setServer({ name: A, weight: 9, adminState: AdminState.DRAIN });
      assert.deepEqual([set.server?.runtimeOnly, set.revision], [["weight", "admin_state"], 0n]);
      assert.equal(file(), before);
      const found = await client.getServer({ name: A });
      assert.deepEqual(found.server?.runtimeOnly, ["weight", "admin_state"]);

      const kept = await client.setServer({
        ...{ name: A, weight: 9, port: 18011 },
        ...{ adminState: AdminState.READY, persist: true },
      });
      assert.deepEqual([kept.server?.runtimeOnly, kept.applied?.via], [[], Applied_Via.RUNTIME]);
      assert.ok(kept.revision > 0n);
      assert.match(file(), /server a 127.0.0.1:18011 weight 9/);
      const back = await client.setServer({ name: A, weight: 7, port: 18001, persist: true });
      assert.equal(back.revision, kept.revision + 1n);
    });

    test("checks are turned off and on, and their results replaced", async () => {
      const client = world.client(stack);
      const name = "backends/app/servers/b";
      const off = await client.setServer({ name, checkEnabled: false });
      assert.deepEqual([off.server?.check?.configured, off.server?.check?.enabled], [true, false]);
      const on = await client.setServer({ name, checkEnabled: true, health: HealthOverride.UP });
      assert.equal(on.server?.check?.enabled, true);
      const wrong = await failureOf(client.setServer({ name: A, checkEnabled: true }));
      assert.equal(wrong.code, "FailedPrecondition");
    });

    test("servers are added and deleted, in the worker only or in the configuration too", async () => {
      const client = world.client(stack);
      const name = "backends/app/servers/n1";
      const added = await client.addServer({ name, address: "127.0.0.1", port: 18020 });
      assert.deepEqual([added.server?.configured, added.revision], [false, 0n]);
      await client.deleteServer({ name });
      const kept = await client.addServer({
        name,
        address: "127.0.0.1",
        port: 18020,
        weight: 3,
        persist: true,
      });
      assert.deepEqual([kept.server?.configured, kept.server?.weight], [true, 3]);
      assert.match(file(), /server n1 127.0.0.1:18020 weight 3/);
      const gone = await client.deleteServer({ name, persist: true });
      assert.ok(gone.revision > kept.revision);
      assert.doesNotMatch(file(), /n1/);
      assert.equal((await failureOf(client.getServer({ name }))).code, "NotFound");
    });

    test("a batch is made change by change, or persisted as one revision", async () => {
      const client = world.client(stack);
      const set = (server: string, weight: number) => ({ name: `backends/app/servers/${server}`, weight });
      const some = await client.batchSetServers({ requests: [set("a", 20), set("nobody", 1), set("b", 21)] });
      assert.equal(some.changed, 2);
      assert.deepEqual(
        some.failures.map(({ index, name, reason }) => [index, name, reason]),
        [[1, "backends/app/servers/nobody", "RESOURCE_NOT_FOUND"]],
      );
      const all = await client.batchSetServers({ requests: [set("a", 7), set("b", 1)], persist: true });
      assert.deepEqual([all.changed, all.failures, all.revision > 0n], [2, [], true]);
      const { servers } = await client.listServers({ parent: "backends/app" });
      assert.deepEqual(
        servers.map(({ weight, runtimeOnly }) => [weight, runtimeOnly.length]),
        [
          [7, 0],
          [1, 0],
          [1, 0],
        ],
      );
      const refused = await failureOf(
        client.batchSetServers({ requests: [set("a", 1), set("nobody", 1)], persist: true }),
      );
      assert.equal(refused.code, "NotFound");
      assert.equal((await client.getServer({ name: A })).server?.weight, 7);
    });

    test("what is persisted again under its id is made once, and answered as the first time", async () => {
      const client = world.client(stack);
      const id = (what: string) => `${what} over ${stack}`;
      const app = "backends/app/servers/";
      const added = { ...{ name: `${app}r1`, address: "127.0.0.1", port: 18_030 }, persist: true };
      const writes = [
        () => client.addServer({ ...added, requestId: id("add") }),
        () => client.setServer({ name: `${app}r1`, weight: 4, persist: true, requestId: id("set") }),
        () =>
          client.batchSetServers({
            requests: [{ name: `${app}r1`, weight: 5 }],
            ...{ persist: true, requestId: id("batch") },
          }),
        () =>
          client.setFrontend({
            name: "frontends/web",
            maxconn: 124,
            persist: true,
            requestId: id("frontend"),
          }),
        () => client.deleteServer({ name: `${app}r1`, persist: true, requestId: id("delete") }),
      ] as const;
      for (const write of writes) {
        // Also when both come at once, of which either may be the first.
        const both = await Promise.all([write(), write()]);
        const before = file();
        const third = await write();
        assert.ok(third.revision > 0n);
        assert.deepEqual(
          both.map(({ revision }) => revision),
          [third.revision, third.revision],
        );
        const replayed = both.map(({ applied }) => applied?.replayed === true).sort();
        assert.deepEqual([...replayed, third.applied?.replayed], [false, true, true]);
        assert.equal(file(), before);
      }
      const other = client.setServer({ name: A, weight: 3, persist: true, requestId: id("set") });
      assert.deepEqual((await failureOf(other)).fields, ["request_id"]);
      await client.setFrontend({ name: "frontends/web", maxconn: 123, persist: true });
      // What is made at runtime only is set again.
      await client.setServer({ name: A, weight: 9, requestId: id("runtime") });
      await client.setServer({ name: A, weight: 7, requestId: id("runtime") });
      assert.equal((await client.getServer({ name: A })).server?.weight, 7);
    });

    test("wrong values are told by field, all at once", async () => {
      const client = world.client(stack);
      const cases = [
        [
          () => client.setServer({ name: A, weight: 257, port: 70_000, address: "localhost" }),
          ["address", "port", "weight"],
        ],
        [() => client.setServer({ name: A, adminState: AdminState.DRAIN, persist: true }), ["admin_state"]],
        [() => client.setServer({ name: A, health: HealthOverride.UP, persist: true }), ["health"]],
        [() => client.setServer({ name: "backends/app" }), ["name"]],
        [
          () => client.batchSetServers({ requests: [{ name: A }, { name: A, weight: 300 }] }),
          ["requests[1].weight"],
        ],
        [() => client.batchSetServers({ requests: [{ name: "x" }] }), ["requests[0].name"]],
        [() => client.batchSetServers({}), ["requests"]],
        [() => client.addServer({ name: A }), ["address", "port"]],
        [() => client.setFrontend({ name: "web", maxconn: 1 }), ["name"]],
        [() => client.setFrontend({ name: "frontends/web", maxconn: 0 }), ["maxconn"]],
      ] as const;
      for (const [call, fields] of cases) {
        const failure = await failureOf(call());
        assert.deepEqual([failure.code, failure.fields], ["InvalidArgument", fields]);
      }
    });

    test("a frontend's maxconn and state are set, marked and persisted", async () => {
      const client = world.client(stack);
      const name = "frontends/web";
      const set = await client.setFrontend({ name, maxconn: 50, enabled: false });
      assert.deepEqual(
        [
          set.frontend?.maxconn,
          set.frontend?.configuredMaxconn,
          set.frontend?.status,
          set.frontend?.runtimeOnly,
        ],
        [50, 123, "PAUSED", ["maxconn", "status"]],
      );
      await client.setFrontend({ name, enabled: false });
      const back = await client.setFrontend({ name, enabled: true });
      assert.equal(back.frontend?.status, "OPEN");
      const kept = await client.setFrontend({ name, maxconn: 60, persist: true });
      assert.deepEqual([kept.frontend?.runtimeOnly, kept.applied?.via], [[], Applied_Via.RUNTIME]);
      await client.setFrontend({ name, maxconn: 123, persist: true });
      const { frontends } = await client.listFrontends({});
      assert.deepEqual(
        frontends.map((one) => [one.name, one.stats?.slim]),
        [[name, 123]],
      );
      assert.equal(
        (await failureOf(client.setFrontend({ name: "frontends/x", maxconn: 1 }))).code,
        "NotFound",
      );
    });

    test("counters are cleared", async () => {
      await world.client(stack).clearCounters({});
      await world.client(stack).clearCounters({ all: true });
    });

    test("any one command is executed, logged without its values, and nothing that is more than one", async () => {
      const client = world.client(stack);
      const { output, truncated } = await client.execute({ command: "show servers state app" });
      assert.ok(output.startsWith("1\n# be_id") && !truncated);
      await client.execute({ command: "set server app/a weight 8" });
      assert.match(world.haplane.log(), /"audit":"execute".*"caller":"admin".*"command":"set server"/);
      assert.doesNotMatch(world.haplane.log(), /weight 8/);
      // What was set is seen, and a later change brings the server to what is configured.
      assert.deepEqual((await client.getServer({ name: A })).server?.runtimeOnly, ["weight"]);
      await client.setServer({ name: A, weight: 7 });
      const refused = [
        ...[
          "show info; show stat",
          "show info\nshow stat",
          "add map x <<",
          "",
          "prompt",
          "quit",
          "set timeout cli 1s",
        ],
        ...[
          "@master reload",
          "@1 show info",
          "!1 show info",
          "operator",
          "show events buf0 -w",
          "_getsocks",
          "expert-mode on",
        ],
      ];
      for (const command of refused) {
        const failure = await failureOf(client.execute({ command }));
        assert.deepEqual([failure.code, failure.fields], ["InvalidArgument", ["command"]], command);
      }
      const unknown = await failureOf(client.execute({ command: "no such command" }));
      assert.deepEqual([unknown.code, unknown.reason], ["FailedPrecondition", "HAPROXY_REFUSED"]);
      const payload = await failureOf(
        client.execute({
          command: "set ssl cert x.pem",
          payload: new TextEncoder().encode("a\n\nshow info\n"),
        }),
      );
      assert.equal(payload.code, "InvalidArgument");
    });
  });
}
