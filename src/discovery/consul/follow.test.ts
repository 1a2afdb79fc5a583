import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { DomainError } from "../../lib/errors.ts";
import { ManualClock } from "../../lib/manual-clock.ts";
import { createPauses } from "../pause.ts";
import type { Answer, QueryMode } from "./client.ts";
import { type FollowContext, follow } from "./follow.ts";
import { createRefresh } from "./refresh.ts";

/** A query that a test answers by hand, followed by a clock that it turns. */
function followed(clock: ManualClock, pauses = createPauses(clock), retryMs = 1_000) {
  const asked: QueryMode[] = [];
  const told: string[] = [];
  let settle: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;
  const abort = new AbortController();
  const context: FollowContext = {
    clock,
    pauses,
    damping: createPauses(clock),
    refresh: createRefresh(),
    newBackoff: () => ({ next: () => retryMs, reset: () => {} }),
  };
  const ended = follow<string>(
    {
      ask(mode) {
        asked.push(mode);
        return new Promise((resolve, reject) => {
          settle = { resolve, reject };
        });
      },
      read: (body) => body as string,
      isSame: (a, b) => a === b,
      waitMs: 60_000,
      restMs: () => 0,
      resumeIndex: 0n,
      onAnswer: (value, index) => told.push(`${value}@${index}`),
      onDoubt: (reason) => told.push(reason),
      onFailure: ({ message }) => told.push(message),
    },
    context,
    abort.signal,
  );
  const turn = async () => {
    for (let i = 0; i < 3; i++) await nextTurn();
  };
  return {
    asked,
    told,
    async answer(body: string, index: bigint) {
      settle?.resolve({
        body: { digest: body, read: () => body },
        index,
        hasLeader: true,
        isFiltered: false,
      });
      await turn();
    },
    async fail(message: string) {
      settle?.reject(new DomainError("CONSUL_UNAVAILABLE", message));
      await turn();
    },
    async stop() {
      abort.abort();
      await this.fail("aborted");
      await ended;
    },
    turn,
  };
}

test("waits on the index of the last answer; after a failure, or an index that went back, asks for the whole answer first", async () => {
  const query = followed(new ManualClock());
  await query.answer("a", 10n);
  await query.answer("b", 12n);
  await query.answer("b", 5n);
  await query.answer("b", 5n);
  const modes = query.asked.map((mode) => (mode.kind === "blocking" ? mode.index : mode.kind));
  assert.deepEqual(modes, ["now", 10n, 12n, "now", 5n]);
  assert.deepEqual(query.told, ["a@10", "b@12", "the index went back from 12 to 5", "b@5", "b@5"]);
  await query.stop();
});

test("an index that went back during an outage is noticed after it", async () => {
  const clock = new ManualClock();
  const query = followed(clock);
  await query.answer("a", 10n);
  await query.fail("refused");
  assert.equal(query.asked.length, 2, "it waits before it asks again");
  clock.advance(1_000);
  await query.turn();
  assert.deepEqual(query.asked.at(-1), { kind: "now" });
  await query.answer("", 3n);
  assert.deepEqual(query.told.slice(1), ["refused", "the index went back from 10 to 3", "@3"]);
  await query.stop();
});

test("when one query gets through again, another need not sit out its backoff", async () => {
  const clock = new ManualClock();
  const pauses = createPauses(clock);
  const quick = followed(clock, pauses, 10);
  const slow = followed(clock, pauses, 30_000);
  await quick.fail("refused");
  await slow.fail("refused");
  clock.advance(10);
  await quick.turn();
  assert.equal(slow.asked.length, 1);
  await quick.answer("a", 1n);
  assert.equal(slow.asked.length, 2);
  await quick.stop();
  await slow.stop();
});

test("a burst of changes goes through at once, and then so many per second; answers that say nothing new sooner", async () => {
  for (const { change, burst, perSecond } of [
    { change: true, burst: 50, perSecond: 50 },
    { change: false, burst: 5, perSecond: 5 },
  ]) {
    const clock = new ManualClock();
    const query = followed(clock);
    const answers = async (limit: number) => {
      let count = 0;
      for (let before = -1; count < limit && query.asked.length > before; count++) {
        before = query.asked.length;
        await query.answer(change ? `${before}` : "same", BigInt(before));
      }
      return count;
    };
    await query.answer("same", 1n);
    const first = await answers(1_000);
    assert.ok(Math.abs(first - burst) <= 2, `${first} at once`);
    let later = 0;
    for (let ms = 0; ms < 10_000; ms += 10) {
      const before = query.asked.length;
      clock.advance(10);
      await query.turn();
      if (query.asked.length === before) continue;
      later++;
      await query.answer(change ? `${before}` : "same", BigInt(before + 1));
    }
    assert.ok(Math.abs(later / 10 - perSecond) <= perSecond / 5 + 1, `${later} in 10 s`);
    await query.stop();
  }
});
