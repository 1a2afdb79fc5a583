import assert from "node:assert/strict";
import { request } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startHaplane, type TestHaplane } from "../../support/haplane.ts";
import { preamble } from "../../support/preamble.ts";

/** `secret` */
const HASHED =
  "$6$somesalt$JX0Uhce8rLRHbaqoSQDYsnTxsqcjCNNcrl79ieTwPGzEhxBEeJcsgDUWIOwc3sDvZN34ZJBWQep7.lcAuSesy/";

let haplane: TestHaplane;
before(async () => {
  haplane = await startHaplane(
    (statsSocket) => `${preamble(statsSocket)}userlist ops
    user tom insecure-password hunter2
    user ann password ${HASHED}
userlist others
    user eve insecure-password hunter2
backend site
`,
    ["--userlist=ops", "--userlist-role=operator"],
  );
});
after(() => haplane.stop());

/** The status of a call as this user. */
function call(method: string, user: string, password: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({
      socketPath: join(haplane.dir, "state", "connect.sock"),
      path: `/haplane.v1.${method}`,
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
      },
    });
    sent.on("error", reject);
    sent.on("response", (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.end("{}");
  });
}

test("the users of the userlist come in with their passwords, in their role", async () => {
  for (const [user, password] of [
    ["tom", "hunter2"],
    ["ann", "secret"],
  ] as const) {
    assert.equal(await call("Configuration/GetVersion", user, password), 200, user);
    assert.equal(await call("Configuration/Apply", user, password), 403, user);
  }
});

test("nobody else does", async () => {
  for (const [user, password] of [
    ["tom", "hunter"],
    ["tom", ""],
    ["ann", HASHED],
    ["eve", "hunter2"],
    ["", ""],
  ] as const)
    assert.equal(await call("Configuration/GetVersion", user, password), 401, `${user}:${password}`);
  assert.doesNotMatch(haplane.log(), /hunter2|secret/);
});

test("a password that is changed holds from then on", async () => {
  const users = [{ name: "tom", insecurePassword: "changed" }, { name: "ann" }];
  await haplane.call("haplane.v1.Configuration/Update", {
    resource: { name: "userlists/ops", userlist: { users } },
    updateMask: "users",
  });
  assert.equal(await call("Configuration/GetVersion", "tom", "hunter2"), 401);
  assert.equal(await call("Configuration/GetVersion", "tom", "changed"), 200);
  assert.equal(await call("Configuration/GetVersion", "ann", "secret"), 200);
});
