import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Code, type ConnectError, type Transport } from "@connectrpc/connect";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import type { BatchSetServersResponse } from "../../gen/haplane/v1/runtime_pb.js";
import { adminTransport } from "../support/configuration-client.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { testConfig } from "../support/haproxy.ts";
import { freePort } from "../support/ports.ts";
import { openFiles, residentKb } from "../support/process-use.ts";
import { callRuntime, type RuntimeCall, runtimeCalls, runtimeCallsConfig } from "../support/runtime-calls.ts";
import { type ProxyMood, startUnixProxy, type UnixProxy } from "../support/unix-proxy.ts";
import { eventually, waitFor } from "../support/wait.ts";

/*
 * Every method of Runtime while HAProxy's socket is stuck, cut, slow or answers half. Each fault has a haplane of its own, all at the same time; all methods are called at once, with a deadline and without.
 */

const DEADLINE_MS = 1_500;
/** A call that ends by its deadline ends soon after it, on a busy machine too; far below what haplane itself waits. */
const LATE_MS = 3_000;
const SPARE_SOCKETS = 8;
const SPARE_KB = 60_000;

/** Moods in which something short may get through whole. */
const LEAKY: readonly ProxyMood[] = ["slow", "half"];

const calls = runtimeCalls();

describe("every method of Runtime on HAProxy's socket", { concurrency: true, timeout: 150_000 }, () => {
  for (const mood of ["stuck", "cut", "slow", "half"] satisfies ProxyMood[]) fault(mood);
});

function fault(mood: ProxyMood): void {
  describe(`that is ${mood}`, { concurrency: false }, () => {
    const dir = mkdtempSync(join(tmpdir(), "haplane-methods-"));
    const [real, told] = [join(dir, "real.sock"), join(dir, "proxy.sock")];
    const closers: (() => void)[] = [];
    let haplane: TestHaplane;
    let proxy: UnixProxy;
    let transports: Transport[];

    before(async () => {
      proxy = await startUnixProxy(told, real);
      const body = runtimeCallsConfig(await freePort());
      const socket = (path: string) => `  stats socket ${path} mode 600 level admin expose-fd listeners`;
      haplane = await startHaplane(
        (statsSocket) => testConfig({ statsSocket }, body).replace("\n", `\n${socket(real)}\n`),
        [`--stats-socket=${told}`],
      );
      transports = (["grpc-js", "Connect"] as const).map((stack) => {
        const { transport, close } = adminTransport(haplane, stack);
        closers.push(close);
        return transport;
      });
    });
    after(async () => {
      for (const close of closers) close();
      await haplane?.stop();
      await proxy?.stop();
      rmSync(dir, { recursive: true, force: true });
    });

    const sockets = () => openFiles(haplane.pid);
    const memoryKb = () => residentKb(haplane.pid);
    const transport = (n: number) => transports[n % transports.length] as Transport;
    const allWell = async () => {
      for (const [n, { method, row }] of calls.entries()) {
        const { error } = await callRuntime(transport(n), method, row.request, { timeoutMs: 20_000 });
        const code = error?.code ?? "OK";
        assert.ok((row.well ?? ["OK"]).includes(code), `${method.name}: ${error ?? code}`);
      }
    };

    test("calls end in time and say so, nothing leaks, and all is well afterwards", async () => {
      await allWell();
      const [socketsBefore, memoryBefore] = [sockets(), memoryKb()];
      proxy.mood = mood;
      const asking = calls.filter(({ row }) => row.asks !== false);
      const inTime = asking.map(async (call, n) => {
        const began = performance.now();
        const error = await failureOf(call, transport(n), DEADLINE_MS);
        const tookMs = performance.now() - began;
        assert.ok(tookMs < DEADLINE_MS + LATE_MS, `${call.method.name} took ${tookMs} ms`);
        check(mood, call, error, [Code.Unavailable, Code.DeadlineExceeded]);
      });
      const untilHaplaneEnds = asking.map(async (call, n) => {
        if (call.row.patient) return;
        check(mood, call, await failureOf(call, transport(n + 1), 40_000), [Code.Unavailable]);
      });
      await Promise.all([...inTime, ...untilHaplaneEnds]);

      for (const [n, { method, row }] of calls.entries()) {
        if (row.asks !== false || method.name === "Reload") continue;
        const { error } = await callRuntime(transport(n), method, row.request, { timeoutMs: 20_000 });
        assert.equal(error, undefined, `${method.name} does not ask the worker`);
      }

      proxy.mood = "pass";
      await eventually(allWell, { timeoutMs: 60_000 });
      await waitFor("the sockets to be freed", () => sockets() <= socketsBefore + SPARE_SOCKETS);
      await waitFor("the memory to be freed", () => memoryKb() <= memoryBefore + SPARE_KB);
    });
  });
}

/** Why a call failed. A batch is answered, and says of each change why it failed. */
async function failureOf(
  { method, row }: RuntimeCall,
  transport: Transport,
  timeoutMs: number,
): Promise<ConnectError | "each" | undefined> {
  const { error, message } = await callRuntime(transport, method, row.request, { timeoutMs });
  if (error !== undefined || method.name !== "BatchSetServers") return error;
  const { failures } = message as BatchSetServersResponse;
  for (const { reason } of failures) assert.equal(reason, "HAPROXY_UNAVAILABLE");
  return failures.length > 0 ? "each" : undefined;
}

function check(
  mood: ProxyMood,
  { method }: RuntimeCall,
  error: ConnectError | "each" | undefined,
  codes: readonly Code[],
): void {
  if (error === "each" || (error === undefined && LEAKY.includes(mood))) return;
  assert.ok(error !== undefined, `${method.name} cannot have been answered`);
  assert.ok(codes.includes(error.code), `${method.name}: ${error}`);
  if (error.code === Code.Unavailable)
    assert.equal(error.findDetails(RetryInfoSchema).length, 1, `${method.name} says when to come again`);
}
