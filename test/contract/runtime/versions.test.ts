import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { type AuditEvent, EventKind } from "../../../gen/haplane/v1/events_pb.js";
import { AdminState, Runtime } from "../../../gen/haplane/v1/runtime_pb.js";
import { failureOf } from "../../support/configuration-client.ts";
import { startHaplane, type TestHaplane } from "../../support/haplane.ts";
import { judgingHaproxys } from "../../support/judging-haproxys.ts";
import { preamble } from "../../support/preamble.ts";
import { root } from "../../support/programs.ts";
import { eventually } from "../../support/wait.ts";
import { adminHeaders, stackTransport, Watching } from "../../support/watching.ts";

/*
 * What the service does with each HAProxy that is here, over gRPC-Web; and who may do it.
 */

/** Commands of the connection, those of newer releases among them, and what would be more than one. */
const REFUSED = [
  ...["@@1 show info", "@@", "@!1 show info", "expert-mode on", "experimental-mode on", "mcli-debug-mode on"],
  ...[
    "prompt i",
    "prompt n",
    "exper on",
    "set anon on",
    "set severity-output number",
    "show events buf0 -nw",
  ],
  ...["show info;quit", "wait 1s; show info", "echo a; show info", "echo <<", "hard-reload", "reload"],
];

for (const { name: release, binary } of judgingHaproxys) {
  describe(`the running ${release}`, { timeout: 120_000 }, () => {
    let haplane: TestHaplane;
    before(async () => {
      haplane = await startHaplane(
        (stats) => `${preamble(stats)}backend app
  balance random
  stick-table type ip size 1k store gpc0
  server a 127.0.0.1:18001 weight 7
`,
        [`--haproxy=${binary}`],
      );
    });
    after(() => haplane?.stop());

    const client = (headers = adminHeaders(haplane.dir)) => {
      const { transport } = stackTransport(haplane.dir, "gRPC-Web");
      return createClient(Runtime, {
        unary: (method, signal, timeoutMs, _header, ...rest) =>
          transport.unary(method, signal, timeoutMs, headers, ...rest),
        stream: (method, signal, timeoutMs, _header, ...rest) =>
          transport.stream(method, signal, timeoutMs, headers, ...rest),
      });
    };

    test("is read and changed over gRPC-Web", async () => {
      const runtime = client();
      const { version } = await runtime.getInfo({});
      assert.equal(release, `HAProxy ${/^\d+\.\d+/.exec(version)?.[0]}`);
      const name = "backends/app/servers/a";
      const set = await runtime.setServer({ name, weight: 9, adminState: AdminState.DRAIN });
      assert.deepEqual(set.server?.runtimeOnly, ["weight", "admin_state"]);
      const n1 = "backends/app/servers/n1";
      const added = await runtime.addServer({ name: n1, address: "127.0.0.1", port: 18_009, check: true });
      assert.equal(added.server?.adminState, AdminState.READY);
      await runtime.deleteServer({ name: n1 });
      const { changed } = await runtime.batchSetServers({ requests: [{ name, weight: 7 }] });
      assert.equal(changed, 1);
      await runtime.setStickTableEntry({ table: "app", key: "192.0.2.7", data: { gpc0: 1n } });
      await runtime.clearStickTable({ table: "app", key: "192.0.2.7" });
      for (const ask of [
        () => runtime.listStats({}),
        () => runtime.listSessions({}),
        () => runtime.listStickTables({}),
        () => runtime.listErrors({}),
        () => runtime.listPatternFiles({}),
        () => runtime.listResolvers({}),
        () => runtime.listThreads({}),
        () => runtime.getActivity({}),
        () => runtime.clearCounters({ all: true }),
      ])
        await ask();
      for await (const { stats: rows } of runtime.watchStats({ proxies: ["app"] })) {
        assert.deepEqual(
          rows.map(({ svname }) => svname),
          ["a", "BACKEND"],
        );
        break;
      }
    });

    test("is sent no command that is the connection's, or more than one", async () => {
      for (const command of REFUSED) {
        const failure = await failureOf(client().execute({ command }));
        assert.deepEqual([failure.code, failure.fields], ["InvalidArgument", ["command"]], command);
      }
    });

    test("is sent a payload to its end, with or without a newline there", async () => {
      for (const payload of ["a", "a\n", "a\nb"]) {
        const failure = await failureOf(
          client().execute({ command: "no-such-command", payload: Buffer.from(payload) }),
        );
        assert.deepEqual([failure.code, failure.reason], ["FailedPrecondition", "HAPROXY_REFUSED"]);
      }
    });

    test("has an event for each raw command, without its words", async () => {
      const { transport } = stackTransport(haplane.dir, "gRPC-Web");
      const watching = new Watching(transport, adminHeaders(haplane.dir), { kinds: [EventKind.AUDIT] });
      await watching.begun();
      await client().execute({ command: "set server app/a agent-addr 192.0.2.77" });
      const { payload } = await watching.seen(
        "the audit of the command",
        ({ payload: { case: kind, value } }) =>
          kind === "audit" && value.method.endsWith("/Execute") && value.code === "OK",
      );
      const { role, request } = payload.value as AuditEvent;
      assert.equal(role, "admin");
      assert.doesNotMatch(request, /192\.0\.2\.77/);
      assert.doesNotMatch(haplane.log(), /192\.0\.2\.77/);
      await watching.cancel();
    });

    test("is changed for good by editors only, at runtime by operators", async () => {
      const args = [join(root, "src", "main.ts"), "token", "create", "oli", "operator"];
      const printed = execFileSync(process.execPath, [...args, `--state-dir=${join(haplane.dir, "state")}`], {
        encoding: "utf8",
      });
      process.kill(haplane.pid, "SIGHUP");
      const token = /^\S{20,}$/m.exec(printed)?.[0];
      assert.ok(token, printed);
      const runtime = client({ authorization: `Bearer ${token}` });
      const name = "backends/app/servers/a";
      const before = readFileSync(haplane.config, "utf8");
      await eventually(() => runtime.getServer({ name }));
      await runtime.setServer({ name, weight: 6 });
      for (const call of [
        () => runtime.setServer({ name, weight: 5, persist: true }),
        () => runtime.batchSetServers({ requests: [{ name, weight: 5 }], persist: true }),
        () =>
          runtime.addServer({ name: "backends/app/servers/n", address: "127.0.0.1", port: 1, persist: true }),
        () => runtime.deleteServer({ name, persist: true }),
        () => runtime.execute({ command: "show info" }),
      ])
        assert.equal((await failureOf(call())).code, "PermissionDenied");
      assert.equal((await runtime.getServer({ name })).server?.weight, 6);
      assert.equal(readFileSync(haplane.config, "utf8"), before);
    });
  });
}
