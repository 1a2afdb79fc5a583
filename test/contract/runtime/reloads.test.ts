import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Client, createClient } from "@connectrpc/connect";
import { ReloadState } from "../../../gen/haplane/v1/events_pb.js";
import { Runtime } from "../../../gen/haplane/v1/runtime_pb.js";
import { adminTransport, failureOf, type Stack } from "../../support/configuration-client.ts";
import { startHaplane, type TestHaplane } from "../../support/haplane.ts";

const STACKS: readonly Stack[] = ["grpc-js", "Connect JSON"];

const configuration = (statsSocket: string) => `global
    stats socket ${statsSocket} mode 600 level admin expose-fd listeners
backend site
    timeout connect 1s
    timeout server 1s
    server a 127.0.0.1:18001
`;

for (const stack of STACKS) {
  describe(`reloads over ${stack}`, () => {
    let haplane: TestHaplane;
    let client: Client<typeof Runtime>;
    let close: () => void;

    before(async () => {
      haplane = await startHaplane(configuration);
      const { transport, close: end } = adminTransport(haplane, stack);
      client = createClient(Runtime, transport);
      close = end;
    });
    after(async () => {
      close();
      await haplane.stop();
    });

    test("a reload that is asked for is made, kept and found again", async () => {
      const { workerPid } = await client.getInfo({});
      const { reload } = await client.reload({});
      assert.ok(reload);
      assert.notEqual((await client.getInfo({})).workerPid, workerPid);
      assert.deepEqual([reload.state, reload.reasons], [ReloadState.SUCCEEDED, ["it was asked for"]]);
      assert.ok(reload.startTime !== undefined && reload.endTime !== undefined);
      assert.deepEqual((await client.getReload({ name: reload.name })).reload, reload);
    });

    test("reloads are listed newest first, in pages", async () => {
      await client.reload({});
      const whole = (await client.listReloads({})).reloads.map(({ name }) => name);
      assert.ok(whole.length >= 2);
      const numbers = whole.map((name) => Number(name.split("/")[1]));
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => b - a),
      );
      const first = await client.listReloads({ pageSize: 1 });
      const second = await client.listReloads({ pageSize: 1, pageToken: first.nextPageToken });
      assert.deepEqual(
        [...first.reloads, ...second.reloads].map(({ name }) => name),
        whole.slice(0, 2),
      );
    });

    test("what is not a reload is refused", async () => {
      for (const name of ["reloads/0", "reloads/x", "reloads/1/2", "reloads/", "revisions/1"])
        assert.equal((await failureOf(client.getReload({ name }))).code, "InvalidArgument", name);
      assert.equal((await failureOf(client.getReload({ name: "reloads/999999" }))).code, "NotFound");
      assert.equal((await failureOf(client.listReloads({ pageSize: -1 }))).code, "InvalidArgument");
    });
  });
}
