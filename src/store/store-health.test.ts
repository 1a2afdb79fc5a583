import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { DomainError } from "../lib/errors.ts";
import { ManualClock } from "../lib/manual-clock.ts";
import { StoreHealthWatch } from "./store-health.ts";

function scene() {
  const clock = new ManualClock(1_000);
  const log: string[] = [];
  let probes = 0;
  const health = new StoreHealthWatch({
    clock,
    logger: pino({}, { write: (line) => log.push(JSON.parse(line).msg) }),
    probe: () => {
      probes += 1;
    },
  });
  return { clock, log, health, probes: () => probes };
}

const full = new DomainError("STORE_UNAVAILABLE", "full");

test("a failure shows with its first time, is said once, and is over with the next good write", () => {
  const { clock, log, health } = scene();
  assert.deepEqual(health.state, { state: "available" });
  health.outcome(full);
  clock.advance(100);
  health.outcome(full);
  assert.deepEqual(health.state, { state: "unavailable", reason: "full", since: 1_000 });
  assert.equal(log.length, 1);
  health.outcome(new DomainError("STORE_UNAVAILABLE", "fails"));
  assert.deepEqual(health.state, { state: "unavailable", reason: "fails", since: 1_000 });
  health.outcome(undefined);
  assert.deepEqual(health.state, { state: "available" });
  assert.equal(log.length, 3);
});

test("while it fails it is probed now and then, and not when it works or is stopped", () => {
  const { clock, health, probes } = scene();
  clock.advance(60_000);
  assert.equal(probes(), 0);
  health.outcome(full);
  clock.advance(5_000);
  assert.equal(probes(), 1);
  health.outcome(full);
  clock.advance(5_000);
  assert.equal(probes(), 2);
  health.outcome(undefined);
  clock.advance(60_000);
  assert.equal(probes(), 2);
  health.outcome(full);
  health.stop();
  health.outcome(full);
  assert.equal(clock.pending, 0);
});

test("who follows it is told when it turns, not of each failure or each good write", () => {
  const { health } = scene();
  const told: string[] = [];
  const leave = health.subscribe(() => told.push(health.state.state));
  health.outcome(undefined);
  health.outcome(full);
  health.outcome(new DomainError("STORE_UNAVAILABLE", "fails"));
  health.outcome(undefined);
  health.outcome(undefined);
  leave();
  health.outcome(full);
  assert.deepEqual(told, ["unavailable", "available"]);
});
