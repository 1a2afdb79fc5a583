import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { WatchStatsResponse } from "../../../gen/haplane/v1/runtime_pb.js";
import { StatsType } from "../../../gen/haplane/v1/runtime_stats_pb.js";
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
  server b 127.0.0.1:18002
backend other
  server a 127.0.0.1:18003
`,
);

for (const stack of STACKS) {
  describe(`statistics over ${stack}`, { timeout: 60_000 }, () => {
    test("rows have HAProxy's columns, and what it leaves empty is absent", async () => {
      const { stats } = await world.client(stack).listStats({ proxies: ["web", "app"] });
      assert.deepEqual(
        stats.map(({ pxname, svname, type }) => [pxname, svname, type]),
        [
          ["web", "FRONTEND", StatsType.FRONTEND],
          ["app", "a", StatsType.SERVER],
          ["app", "b", StatsType.SERVER],
          ["app", "BACKEND", StatsType.BACKEND],
        ],
      );
      const [web, a] = stats;
      assert.deepEqual([web?.slim, web?.scur, web?.weight, web?.stot], [123, 0, undefined, 0n]);
      assert.deepEqual([a?.weight, a?.status, a?.addr, a?.lastsess], [7, "no check", "127.0.0.1:18001", -1]);
    });

    test("they are filtered and come in pages", async () => {
      const client = world.client(stack);
      const filter = { services: ["a"], types: [StatsType.SERVER] };
      const whole = await client.listStats(filter);
      assert.deepEqual(
        whole.stats.map(({ pxname }) => pxname),
        ["app", "other"],
      );
      const first = await client.listStats({ ...filter, pageSize: 1 });
      const second = await client.listStats({ ...filter, pageSize: 1, pageToken: first.nextPageToken });
      assert.deepEqual(
        [...first.stats, ...second.stats].map(({ pxname }) => pxname),
        ["app", "other"],
      );
      assert.equal(second.nextPageToken, "");
    });

    test("a stream begins with all rows and goes on with those that change", async () => {
      const client = world.client(stack);
      const end = new AbortController();
      const stream = client.watchStats(
        { proxies: ["app", "other"], interval: { seconds: 0n, nanos: 100_000_000 } },
        { signal: end.signal },
      );
      const messages = stream[Symbol.asyncIterator]();
      const next = async () => (await messages.next()).value as WatchStatsResponse;
      const first = await next();
      assert.deepEqual([first.full, first.more, first.stats.length], [true, false, 5]);
      assert.equal(first.workerPid, (await world.haplane.worker()).pid);

      await world.haplane.ask("set weight app/a 9");
      const weighed = await next();
      assert.equal(weighed.full, false);
      assert.deepEqual(
        weighed.stats.map(({ pxname, svname, weight }) => [pxname, svname, weight]),
        [
          ["app", "a", 9],
          ["app", "BACKEND", 10],
        ],
      );
      await world.haplane.ask("set server app/b state maint");
      await world.haplane.ask("del server app/b");
      let gone = await next();
      while (gone.removed.length === 0) gone = await next();
      assert.deepEqual(
        gone.removed.map(({ pxname, svname, type }) => [pxname, svname, type]),
        [["app", "b", StatsType.SERVER]],
      );
      const [before] = [gone.workerPid];
      await client.reload({});
      let reloaded = await next();
      while (reloaded.workerPid === before) reloaded = await next();
      assert.ok(reloaded.stats.some(({ svname }) => svname === "b"));
      end.abort();
      await world.haplane.ask("set weight app/a 7");
      await assert.rejects(next());
    });

    test("wrong requests are told by field", async () => {
      const client = world.client(stack);
      const tooOften = client.watchStats({ interval: { seconds: 0n, nanos: 1 } });
      const failure = await failureOf(tooOften[Symbol.asyncIterator]().next());
      assert.deepEqual([failure.code, failure.fields], ["InvalidArgument", ["interval"]]);
      const many = Array.from({ length: 1_001 }, () => "x");
      assert.deepEqual((await failureOf(client.listStats({ proxies: many }))).fields, ["proxies"]);
    });
  });
}
