import assert from "node:assert/strict";
import { test } from "node:test";
import { KeyedSerial } from "./keyed-serial.ts";

test("tasks of one key wait for each other, also after a failure; others do not", async () => {
  const serial = new KeyedSerial();
  const order: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const first = serial.run("a", async () => {
    await promise;
    order.push("a1");
    throw new Error("a1 failed");
  });
  const second = serial.run("a", async () => void order.push("a2"));
  await serial.run("b", async () => void order.push("b1"));
  resolve();
  await assert.rejects(first, /a1 failed/);
  await second;
  assert.deepEqual(order, ["b1", "a1", "a2"]);
});
