import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AdminReason, AdminState } from "../../../gen/haplane/v1/runtime_pb.js";
import { runtimeWorld } from "../../support/runtime-world.ts";

/*
 * Servers that a line makes for a range of numbers are configured like others, though none has a line of its own.
 */

const world = runtimeWorld(`resolvers nobody
  nameserver none 127.0.0.1:9
backend app
  default-server weight 4
  server one 127.0.0.1:18001
  server-template t 3 127.0.0.1:18002 weight 9
  server-template late 20-21 127.0.0.1:18003
  server-template named 2 nowhere.invalid:80 resolvers nobody init-addr none
  server-template found 2 _http._tcp.nowhere.invalid resolvers nobody init-addr none
  server tracking 127.0.0.1:18004 track checked
  server checked 127.0.0.1:18005 check inter 1h
`);

const ofApp = async () => {
  const { servers } = await world.client().listServers({ parent: "backends/app" });
  return new Map(servers.map((server) => [server.name.replace("backends/app/servers/", ""), server]));
};

describe("servers of templates", { timeout: 60_000 }, () => {
  test("are configured, and marked where they were changed at runtime", async () => {
    const client = world.client();
    const servers = await ofApp();
    const names = ["one", "t1", "t2", "t3", "late20", "late21", "named1", "named2", "found1", "found2"];
    assert.deepEqual([...servers.keys()], [...names, "tracking", "checked"]);
    for (const [name, { configured, runtimeOnly }] of servers)
      assert.deepEqual([configured, runtimeOnly], [true, []], name);
    const of = (name: string) => servers.get(name)?.configuration;
    assert.deepEqual([of("t3")?.address, of("t3")?.port, of("t3")?.weight], ["127.0.0.1", 18002, 9]);
    assert.deepEqual([of("late20")?.port, of("late20")?.weight], [18003, 4]);
    assert.deepEqual(servers.get("named1")?.adminReasons, [AdminReason.UNRESOLVED]);
    assert.equal(servers.get("named1")?.adminState, AdminState.MAINT);

    const name = "backends/app/servers/t2";
    const { server } = await client.setServer({ name, weight: 1, adminState: AdminState.DRAIN });
    assert.deepEqual([server?.configured, server?.runtimeOnly], [true, ["weight", "admin_state"]]);
  });

  test("are not those that only look like them", async () => {
    const client = world.client();
    for (const server of ["t4", "t01", "late22", "other1"]) {
      const name = `backends/app/servers/${server}`;
      const added = await client.addServer({ name, address: "127.0.0.1", port: 18009 });
      assert.deepEqual([added.server?.configured, added.server?.runtimeOnly], [false, []], server);
    }
  });

  test("that track another are not marked for its state", async () => {
    const name = "backends/app/servers/checked";
    await world.client().setServer({ name, adminState: AdminState.MAINT });
    const servers = await ofApp();
    assert.deepEqual(servers.get("tracking")?.adminReasons, [AdminReason.INHERITED_MAINT]);
    assert.deepEqual(servers.get("tracking")?.runtimeOnly, []);
    assert.deepEqual(servers.get("checked")?.runtimeOnly, ["admin_state"]);
  });
});
