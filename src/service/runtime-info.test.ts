import assert from "node:assert/strict";
import { test } from "node:test";
import { ANSWERING, answerOf } from "../../test/support/answers.ts";
import { parseInfo } from "../haproxy/info.ts";
import { infoMessage } from "./runtime-info.ts";

for (const version of ANSWERING) {
  test(`every line of HAProxy ${version}'s show info has a field, and every value arrives`, () => {
    const info = parseInfo(answerOf(version, "show info"));
    assert.ok(info);
    const { other, $typeName: _type, ...fields } = infoMessage(info.fields);
    assert.deepEqual(other, {});
    assert.deepEqual(Object.values(fields).map(String).sort(), Object.values(info.fields).map(String).sort());
    assert.equal(fields.version?.slice(0, 3), version);
    assert.equal(typeof fields.totalSplicedBytesOut, "bigint");
  });
}

test("lines that nobody knows, and values that no field holds, are kept as text", () => {
  const { other, pid } = infoMessage({ Novelty: 1, Pid: "x", Maxconn: -1 });
  assert.deepEqual([other, pid], [{ Novelty: "1", Pid: "x", Maxconn: "-1" }, undefined]);
});
