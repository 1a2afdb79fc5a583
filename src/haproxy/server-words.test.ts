import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveServerWords } from "./server-words.ts";

const cases: {
  name: string;
  words: string;
  resolved: string;
  check?: true;
  agentCheck?: true;
  disabled?: true;
}[] = [
  { name: "nothing", words: "", resolved: "" },
  { name: "a later value wins", words: "inter 1s weight 5 inter 2s", resolved: "weight 5 inter 2s" },
  { name: "a flag twice", words: "check backup check", resolved: "backup check", check: true },
  { name: "taken back", words: "check ssl no-check no-ssl", resolved: "" },
  { name: "taken back and said again", words: "check no-check check", resolved: "check", check: true },
  {
    name: "agent",
    words: "agent-check agent-port 9",
    resolved: "agent-check agent-port 9",
    agentCheck: true,
  },
  { name: "disabled", words: "disabled weight 3", resolved: "weight 3", disabled: true },
  { name: "enabled again", words: "disabled enabled", resolved: "" },
  { name: "a keyword as a value", words: "cookie check weight 2", resolved: "cookie check weight 2" },
  {
    name: "source with what follows",
    words: "source 0.0.0.0 usesrc clientip check source 10.0.0.1 interface eth0",
    resolved: "check source 10.0.0.1 interface eth0",
    check: true,
  },
  { name: "what add server takes negated", words: "tfo no-tfo", resolved: "tfo no-tfo" },
];

for (const { name, words, resolved, check = false, agentCheck = false, disabled = false } of cases) {
  test(`server words: ${name}`, () => {
    assert.deepEqual(resolveServerWords(words.split(" ").filter((word) => word !== "")), {
      ...{ check, agentCheck, disabled },
      words: resolved.split(" ").filter((word) => word !== ""),
    });
  });
}
