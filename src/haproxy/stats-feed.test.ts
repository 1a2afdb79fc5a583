import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../lib/manual-clock.ts";
import { createStatsFeed } from "./stats-feed.ts";
import type { StatsTable } from "./stats-table.ts";

function world() {
  const clock = new ManualClock();
  let asked = 0;
  const feed = createStatsFeed(async (): Promise<StatsTable> => {
    asked += 1;
    return { columns: [], rows: [], workerPid: asked };
  }, clock);
  return { clock, feed, asked: () => asked };
}

test("who asks at the same time gets the same answer", async () => {
  const { feed, asked } = world();
  const [a, b] = await Promise.all([feed.latest(), feed.latest()]);
  assert.ok(a === b && asked() === 1);
  assert.notEqual(await feed.latest(), a);
});

test("watchers share what HAProxy is asked, each at its interval at most", async () => {
  const { clock, feed, asked } = world();
  const [fast, slow] = [feed.watch(1_000), feed.watch(10_000)];
  const first = [fast.next(), slow.next()];
  clock.advance(0);
  assert.deepEqual(
    (await Promise.all(first)).map(({ workerPid }) => workerPid),
    [1, 1],
  );
  const slowNext = slow.next();
  for (let second = 1; second <= 5; second += 1) {
    const next = fast.next();
    clock.advance(1_000);
    assert.equal((await next).workerPid, 1 + second);
  }
  // Soon due, so it went along.
  assert.equal((await slowNext).workerPid, 6);
  assert.equal(asked(), 6);
});

test("nothing is asked for a reader that is behind, or one that has left", async () => {
  const { clock, feed, asked } = world();
  const [behind, gone] = [feed.watch(100), feed.watch(100)];
  const first = behind.next();
  clock.advance(0);
  await first;
  void gone.next();
  gone.close();
  clock.advance(60_000);
  assert.equal(asked(), 1);
  const late = behind.next();
  clock.advance(0);
  assert.equal((await late).workerPid, 2);
});

test("a failure reaches those who wait, and the next look is made anew", async () => {
  const clock = new ManualClock();
  let fails = true;
  const feed = createStatsFeed(async () => {
    if (fails) throw new Error("stuck");
    return { columns: [], rows: [], workerPid: 1 };
  }, clock);
  const watch = feed.watch(100);
  const next = assert.rejects(watch.next(), /stuck/);
  clock.advance(0);
  await next;
  fails = false;
  const again = watch.next();
  clock.advance(100);
  assert.equal((await again).workerPid, 1);
});
