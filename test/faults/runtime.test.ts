import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { signalProcess } from "../../src/lib/other-process.ts";
import { freePort } from "../support/ports.ts";
import { openFiles } from "../support/process-use.ts";
import { runtimeWorld, STACKS } from "../support/runtime-world.ts";
import { waitFor } from "../support/wait.ts";

const world = runtimeWorld(
  async () => `frontend web
  bind 127.0.0.1:${await freePort()}
  default_backend app
backend app
  balance random
  server a 127.0.0.1:18001
`,
);

describe("a HAProxy that is stuck", { timeout: 120_000 }, () => {
  let worker = 0;
  before(async () => {
    worker = (await world.haplane.worker()).pid;
  });
  after(() => signalProcess(worker, "SIGCONT"));

  const sockets = () => openFiles(world.haplane.pid);

  async function unavailable(call: Promise<unknown>): Promise<void> {
    const error = await call.then(() => undefined, ConnectError.from);
    assert.equal(error?.code, Code.Unavailable, error?.message);
    const [retry] = error.findDetails(RetryInfoSchema);
    assert.ok(retry?.retryDelay !== undefined);
  }

  for (const stack of STACKS) {
    test(`every call says UNAVAILABLE in time, and all is well afterwards, over ${stack}`, async () => {
      const client = world.client(stack);
      await client.getInfo({});
      await client.setServer({ name: "backends/app/servers/a", weight: 2 });
      const before = sockets();
      const stream = client.watchStats({})[Symbol.asyncIterator]();
      assert.equal((await stream.next()).value?.full, true);
      signalProcess(worker, "SIGSTOP");
      try {
        await Promise.all([
          ...Array.from({ length: 20 }, () => unavailable(client.getInfo({}))),
          unavailable(client.listStats({})),
          unavailable(client.listServers({ parent: "backends/-" })),
          unavailable(client.setServer({ name: "backends/app/servers/a", weight: 3 })),
          unavailable(
            client
              .batchSetServers({ requests: [{ name: "backends/app/servers/a", weight: 3 }] })
              .then(({ failures }) => {
                assert.equal(failures[0]?.reason, "HAPROXY_UNAVAILABLE");
                throw new ConnectError("each change says so", Code.Unavailable, undefined, [
                  { desc: RetryInfoSchema, value: { retryDelay: {} } },
                ]);
              }),
          ),
          unavailable(client.execute({ command: "show info", timeout: { seconds: 1n } })),
          unavailable(client.listStickTables({})),
          unavailable(stream.next()),
        ]);
        const late = await client.getInfo({}, { timeoutMs: 200 }).then(() => undefined, ConnectError.from);
        assert.equal(late?.code, Code.DeadlineExceeded);
      } finally {
        signalProcess(worker, "SIGCONT");
      }
      await waitFor("HAProxy to answer", async () => (await client.getInfo({})).workerPid === worker);
      await client.setServer({ name: "backends/app/servers/a", weight: 1 });
      await waitFor("what was opened to be closed", () => sockets() <= before + 2);
    });
  }
});
