import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTable, toRow, voidMeasurements } from "./result.ts";

const base = { case: "p50", value: 3, unit: "ms", bound: 2 };

const verdicts: { measurement: Parameters<typeof toRow>[0]; met: boolean | null; ratio: number | null }[] = [
  { measurement: { ...base, target: 1.5 }, met: true, ratio: 1.5 },
  { measurement: { ...base, target: 1.4 }, met: false, ratio: 1.5 },
  { measurement: { ...base, target: 1.4, better: "more" }, met: true, ratio: 1.5 },
  { measurement: { ...base, target: 1.6, better: "more" }, met: false, ratio: 1.5 },
  { measurement: base, met: null, ratio: 1.5 },
  { measurement: { case: "cpu", value: 3, unit: "ms", target: 1 }, met: null, ratio: null },
];
for (const { measurement, met, ratio } of verdicts) {
  test(`${JSON.stringify(measurement)} is ${met}`, () => {
    const row = toRow(measurement);
    assert.equal(row.met, met);
    assert.equal(row.ratio, ratio);
  });
}

test("a bound more than twice as bad as it should be makes the run void", () => {
  const measurements = [
    { ...base, expectedBound: 1 },
    { ...base, expectedBound: 0.9 },
    { ...base, better: "more" as const, expectedBound: 4 },
    { ...base, better: "more" as const, expectedBound: 4.1 },
    base,
  ];
  assert.deepEqual(voidMeasurements(measurements), [measurements[1], measurements[3]]);
});

test("the table lines up", () => {
  const rows = [
    { ...base, target: 1.5 },
    { case: "calls", value: 12345.6, unit: "calls/s", bound: 24691.2, target: 0.6, better: "more" as const },
    { case: "cpu", value: 47.25, unit: "ms" },
  ].map(toRow);
  assert.equal(
    formatTable(rows),
    `case            value           bound  ratio  target
p50           3.00 ms         2.00 ms   1.50     1.5     met
calls  12,346 calls/s  24,691 calls/s   0.50     0.6  MISSED
cpu           47.3 ms`,
  );
});
