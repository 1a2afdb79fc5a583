import assert from "node:assert/strict";
import { test } from "node:test";
import { isNeeded, parseMode } from "./needs.mjs";

/** @type {{ program: "haproxy" | "consul", mode: "start" | "test" | "ci", args?: string[], env?: Record<string, string>, needed: boolean }[]} */
const cases = [
  { program: "haproxy", mode: "start", needed: true },
  { program: "consul", mode: "start", needed: true },
  { program: "consul", mode: "start", args: ["src/main.ts", "start", "--no-consul"], needed: false },
  { program: "haproxy", mode: "start", args: ["--no-consul"], needed: true },
  { program: "haproxy", mode: "start", args: ["--haproxy", "/opt/haproxy"], needed: false },
  { program: "haproxy", mode: "start", args: ["--haproxy=/opt/haproxy"], needed: false },
  { program: "consul", mode: "start", env: { HAPLANE_NO_CONSUL: "1" }, needed: false },
  { program: "consul", mode: "start", env: { HAPLANE_NO_CONSUL: "false" }, needed: true },
  { program: "haproxy", mode: "start", env: { HAPLANE_HAPROXY: "/opt/haproxy" }, needed: false },
  { program: "consul", mode: "test", args: ["--no-consul"], env: { HAPLANE_NO_CONSUL: "1" }, needed: true },
  { program: "haproxy", mode: "ci", needed: true },
];
for (const { program, mode, args = [], env = {}, needed } of cases) {
  test(`${program} is ${needed ? "" : "not "}needed by ${mode} ${args.join(" ")} ${JSON.stringify(env)}`, () => {
    assert.equal(isNeeded(program, mode, args, env), needed);
  });
}

test("an unknown mode is refused", () => {
  assert.throws(() => parseMode("strat"), {
    name: "SetupError",
    message: 'Unknown mode "strat". Use: node scripts/setup.mjs start|test|ci',
  });
});
