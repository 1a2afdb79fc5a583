import assert from "node:assert/strict";
import { test } from "node:test";
import { parseServerStates } from "./server-states.ts";

const HEAD = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
`;

test("show servers state becomes servers, bits by their names", () => {
  const [first, second, ...rest] =
    parseServerStates(`${HEAD}3 app 1 a 10.0.0.1 2 8 5 10 77 6 3 4 6 0 0 1 - 8080 - 1 0 - - 0
3 app 2 b - 0 36 1 1 5 1 0 0 14 23 0 0 host.example 80 - 0 0 - - 0
`) ?? [];
  assert.deepEqual(rest, []);
  const { columns, ...a } = first!;
  assert.equal(columns.srv_check_health, "4");
  assert.deepEqual(a, {
    backend: "app",
    backendId: 3,
    server: "a",
    serverId: 1,
    idForced: true,
    address: "10.0.0.1",
    port: 8080,
    fqdn: "",
    operational: "running",
    admin: {
      forcedMaint: false,
      inheritedMaint: false,
      configuredMaint: false,
      forcedDrain: true,
      inheritedDrain: false,
      unresolved: false,
    },
    weight: 5,
    initialWeight: 10,
    secondsSinceChange: 77,
    check: { configured: true, enabled: true, paused: false, inProgress: false, result: "passed" },
    agent: { configured: false, enabled: false, paused: false, inProgress: false, result: "unknown" },
    usesSsl: true,
  });
  assert.deepEqual(
    [
      second!.address,
      second!.fqdn,
      second!.operational,
      second!.admin.configuredMaint,
      second!.admin.unresolved,
    ],
    ["", "host.example", "stopped", true, true],
  );
  assert.deepEqual(second!.check, {
    ...{ configured: true, enabled: true, paused: true, inProgress: false, result: "unknown" },
  });
  assert.deepEqual(
    [second!.agent.configured, second!.agent.enabled, second!.agent.inProgress],
    [true, true, true],
  );
});

test("no servers, and something else", () => {
  assert.deepEqual(parseServerStates(HEAD), []);
  assert.equal(parseServerStates("Can't find backend."), undefined);
});

test("a server or backend may be named as an empty column is printed", () => {
  const [state] =
    parseServerStates(`${HEAD}3 - 1 - 10.0.0.1 2 0 1 1 7 6 3 4 6 0 0 0 - 80 - 0 0 - - 0\n`) ?? [];
  assert.deepEqual([state?.backend, state?.server, state?.fqdn], ["-", "-", ""]);
});
