import assert from "node:assert/strict";
import { test } from "node:test";
import { ShutdownStack } from "./shutdown-stack.ts";

function recorded(...failing: string[]) {
  const stopped: string[] = [];
  const part = (name: string) => async () => {
    stopped.push(name);
    if (failing.includes(name)) throw new Error(name);
  };
  return { stopped, part };
}

test("a block that is left early stops what it started, last first", async () => {
  const { stopped, part } = recorded();
  const start = async () => {
    await using starting = new ShutdownStack();
    starting.defer(part("one"));
    starting.defer(part("two"));
    throw new Error("no start");
  };
  await assert.rejects(start, /no start/);
  assert.deepEqual(stopped, ["two", "one"]);
});

test("parts that were moved out stay, and are stopped once", async () => {
  const { stopped, part } = recorded();
  const start = async () => {
    await using starting = new ShutdownStack();
    starting.defer(part("one"));
    return starting.move();
  };
  const running = await start();
  assert.deepEqual(stopped, []);
  await running.stop();
  await running.stop();
  assert.deepEqual(stopped, ["one"]);
});

test("one that fails to stop keeps none from it, and is told", async () => {
  const one = recorded("two");
  const stack = new ShutdownStack();
  for (const name of ["one", "two", "three"]) stack.defer(one.part(name));
  await assert.rejects(stack.stop(), { message: "two" });
  assert.deepEqual(one.stopped, ["three", "two", "one"]);

  const several = recorded("one", "two");
  for (const name of ["one", "two"]) stack.defer(several.part(name));
  await assert.rejects(stack.stop(), AggregateError);
});
