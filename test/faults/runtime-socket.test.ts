import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { EventKind } from "../../gen/haplane/v1/events_pb.js";
import { Runtime } from "../../gen/haplane/v1/runtime_pb.js";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { openFiles, residentKb } from "../support/process-use.ts";
import { type ProxyMood, startUnixProxy, type UnixProxy } from "../support/unix-proxy.ts";
import { eventually, waitFor } from "../support/wait.ts";
import { adminHeaders, STACKS, stackTransport, Watching, type WatchStack } from "../support/watching.ts";

/*
 * HAProxy's socket that is stuck, cut, slow, or answers half: calls end, with a code that says so, watches go on, and nothing is left behind.
 */

const DEADLINE_MS = 2_000;
const CALLS = 20;
/** What a process may have more than before without leaking: connections to HAProxy are few and kept. */
const SPARE_SOCKETS = 8;
const SPARE_KB = 60_000;

describe("the runtime socket of HAProxy", { concurrency: false }, () => {
  let haplane: TestHaplane;
  let proxy: UnixProxy;
  const dir = mkdtempSync(join(tmpdir(), "haplane-proxy-"));
  const closers: (() => void)[] = [];
  const transportOf = (stack: WatchStack) => {
    const { transport, close } = stackTransport(haplane.dir, stack);
    closers.push(close);
    return transport;
  };

  before(async () => {
    // HAProxy listens elsewhere than where haplane is told.
    const real = join(dir, "real.sock");
    proxy = await startUnixProxy(join(dir, "proxy.sock"), real);
    haplane = await startHaplane(
      (stats) => `global
    stats socket ${stats} mode 600 level admin
    stats socket ${real} mode 600 level admin expose-fd listeners

defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s

backend web
${Array.from({ length: 50 }, (_, n) => `    server s${n} 127.0.0.1:${9_000 + n}`).join("\n")}
`,
      [`--stats-socket=${join(dir, "proxy.sock")}`],
    );
  });

  after(async () => {
    for (const close of closers) close();
    await haplane?.stop();
    await proxy?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  const sockets = () => openFiles(haplane.pid);
  const memoryKb = () => residentKb(haplane.pid);

  for (const mood of ["stuck", "cut", "slow", "half"] satisfies ProxyMood[]) {
    test(`that is ${mood}: calls end in time and say so, and nothing leaks`, async (t) => {
      const clients = STACKS.map((stack) => createClient(Runtime, transportOf(stack)));
      const list = (n: number, timeoutMs: number) =>
        clients[n % clients.length]!.listServers(
          { parent: "backends/web" },
          { headers: adminHeaders(haplane.dir), timeoutMs },
        );
      // What first calls bring with them is not the fault's.
      for (let n = 0; n < CALLS; n += 1) await list(n, 30_000);
      const asking = setInterval(() => void list(0, 10_000).catch(() => {}), 1_000);
      t.after(() => clearInterval(asking));
      const watching = new Watching(transportOf("grpc-js"), adminHeaders(haplane.dir), {
        kinds: [EventKind.SERVER_STATUS, EventKind.REVISION],
      });
      await watching.begun();
      const [socketsBefore, memoryBefore] = [sockets(), memoryKb()];

      proxy.mood = mood;
      const errors = await Promise.all(
        Array.from({ length: CALLS }, (_, n) => failureOf(list(n, DEADLINE_MS))),
      );
      for (const error of errors) {
        // Half of what comes at once can be one whole answer, and a part of the next.
        if (error === undefined && mood === "half") continue;
        assert.ok(error !== undefined, "it cannot have been answered");
        assert.ok([Code.Unavailable, Code.DeadlineExceeded].includes(error.code), String(error));
        if (error.code === Code.Unavailable) assert.equal(error.findDetails(RetryInfoSchema).length, 1);
      }
      // Without a deadline of its own a call ends by haplane's, and says when to come again.
      clearInterval(asking);
      const patient = await failureOf(list(0, 60_000));
      assert.equal(patient?.code, Code.Unavailable);
      assert.equal(patient.findDetails(RetryInfoSchema).length, 1);

      proxy.mood = "pass";
      await eventually(async () => assert.equal((await list(0, 10_000)).servers.length, 50), {
        timeoutMs: 60_000,
      });
      clearInterval(asking);
      assert.equal(watching.error, undefined);
      await watching.cancel();
      await waitFor("the sockets to be freed", () => sockets() <= socketsBefore + SPARE_SOCKETS);
      await waitFor("the memory to be freed", () => memoryKb() <= memoryBefore + SPARE_KB);
    });
  }
});

/** Why a call failed; undefined when it was answered, which has to be a whole answer. */
async function failureOf(
  call: Promise<{ readonly servers: readonly unknown[] }>,
): Promise<ConnectError | undefined> {
  try {
    assert.equal((await call).servers.length, 50);
    return undefined;
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    return ConnectError.from(error);
  }
}
