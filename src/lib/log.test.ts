import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "./log.ts";

function capture(level: string) {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ level, destination: { write: (line: string) => lines.push(JSON.parse(line)) } });
  return { log, lines };
}

test("a line has its level by name, a readable time, and nothing of the machine", () => {
  const { log, lines } = capture("info");
  log.info({ part: "rpc" }, "hello");
  log.debug("not written");
  assert.equal(lines.length, 1);
  const { time, ...rest } = lines[0] ?? {};
  assert.deepEqual(rest, { level: "info", part: "rpc", msg: "hello" });
  assert.equal(new Date(String(time)).toISOString(), time);
});

test("what is named like a secret is never written", () => {
  const { log, lines } = capture("trace");
  log.info({
    token: "hunter2",
    source: { consul: { token: "hunter2" } },
    headers: { authorization: "Bearer hunter2" },
  });
  log.child({ password: "hunter2" }).info("child");
  const credentials = { list: [{ password: "hunter2" }], user: "u" };
  log.info(credentials, "a list");
  log.error(
    { err: Object.assign(new Error("x"), { headers: { cookie: "hunter2" }, token: "hunter2" }) },
    "error",
  );
  assert.doesNotMatch(JSON.stringify(lines), /hunter2/);
  assert.equal(lines.length, 4);
  assert.deepEqual(lines[2]?.list, [{ password: "[redacted]" }]);
  assert.deepEqual(credentials.list, [{ password: "hunter2" }], "what was logged is as it was");
});

test("an error is written with its facts and causes, a circle not for ever", () => {
  const { log, lines } = capture("info");
  const inner = Object.assign(new Error("inner"), { code: "ENOSPC" });
  log.error({ err: new Error("outer", { cause: inner }) }, "failed");
  const err = lines[0]?.err as { message: string; cause: { code: string; message: string } };
  assert.equal(err.message, "outer");
  assert.deepEqual([err.cause.code, err.cause.message], ["ENOSPC", "inner"]);

  const circle = new Error("circle");
  circle.cause = circle;
  log.error({ err: circle }, "failed");
  log.error({ err: "no error" }, "failed");
  assert.equal(lines.length, 3);
});
