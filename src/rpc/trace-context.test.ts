import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTraceparent } from "./trace-context.ts";

const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const parent = "00f067aa0ba902b7";

const cases: { header: string | undefined; reads: "sampled" | "not sampled" | undefined }[] = [
  { header: undefined, reads: undefined },
  { header: "", reads: undefined },
  { header: `00-${trace}-${parent}-01`, reads: "sampled" },
  { header: `00-${trace}-${parent}-00`, reads: "not sampled" },
  { header: `00-${trace}-${parent}-03`, reads: "sampled" },
  { header: `00-${trace}-${parent}-01-more`, reads: undefined },
  { header: `01-${trace}-${parent}-01-more`, reads: "sampled" },
  { header: `01-${trace}-${parent}-01more`, reads: undefined },
  { header: `ff-${trace}-${parent}-01`, reads: undefined },
  { header: `00-${"0".repeat(32)}-${parent}-01`, reads: undefined },
  { header: `00-${trace}-${"0".repeat(16)}-01`, reads: undefined },
  { header: `00-${trace.toUpperCase()}-${parent}-01`, reads: undefined },
  { header: `00-${trace.slice(1)}-${parent}-01`, reads: undefined },
];
for (const { header, reads } of cases) {
  test(`traceparent ${header} is ${reads ?? "none"}`, () => {
    const expected = reads && { traceId: trace, parentId: parent, sampled: reads === "sampled" };
    assert.deepEqual(parseTraceparent(header), expected);
  });
}
