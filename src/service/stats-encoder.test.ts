import assert from "node:assert/strict";
import { test } from "node:test";
import { type DescField, fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { type Stats, StatsSchema, StatsType } from "../../gen/haplane/v1/runtime_stats_pb.js";
import { ANSWERING, answerOf } from "../../test/support/answers.ts";
import { statRows } from "../../test/support/stat-rows.ts";
import { parseStatsTable } from "../haproxy/stats-table.ts";
import { statsEncoder } from "./stats-encoder.ts";

for (const version of ANSWERING) {
  test(`every column of HAProxy ${version} has a field, and every value arrives`, () => {
    const table = parseStatsTable(answerOf(version, "show stat"), 7);
    assert.ok(table !== undefined && table.rows.length >= 15 && table.workerPid === 7);
    const encode = statsEncoder(table.columns);
    const rows = statRows(table);
    for (const [at, row] of table.rows.entries()) {
      const stats = fromBinary(StatsSchema, encode(row));
      assert.deepEqual(stats.other, {});
      const { "-": _separator, ...cells } = rows[at] ?? {};
      assert.deepEqual(asCells(stats), cells);
    }
  });

  test(`HAProxy ${version} types its columns as the fields are typed`, () => {
    const typed = answerOf(version, "show stat typed").matchAll(
      /^\w\.\d+\.\d+\.\d+\.([\w-]+)\.\d+:\w+:(\w+):/gm,
    );
    const wide: Record<string, readonly string[]> = {
      str: ["string", "enum"],
      u32: ["uint32", "uint64", "enum"],
      u64: ["uint64"],
      s32: ["int32"],
    };
    let count = 0;
    for (const [, name = "", type = ""] of typed) {
      const field = StatsSchema.fields.find((candidate) => candidate.name === name);
      assert.ok(field !== undefined && wide[type]?.includes(kindOf(field)), `${name} is ${type}`);
      count += 1;
    }
    assert.ok(count > 500);
  });
}

test("what no field can hold is kept as text", () => {
  const columns = ["pxname", "qcur", "stot", "lastsess", "status", "novelty", "-", "type"];
  const read = (row: string) => fromBinary(StatsSchema, statsEncoder(columns)(row));
  const stats = read('a,4294967296,18446744073709551615,-1,,"1,5",-,9');
  assert.equal(stats.stot, 18446744073709551615n);
  assert.equal(stats.lastsess, -1);
  assert.equal(stats.status, undefined);
  assert.deepEqual(stats.other, { qcur: "4294967296", novelty: "1,5", type: "9" });
  assert.deepEqual(read("a,1.5,,,,,-,2").other, { qcur: "1.5" });
  assert.equal(read("a,1.5,,,,,-,2").type, StatsType.SERVER);
});

test("any text and any number arrive as they were", () => {
  const encode = statsEncoder(["pxname", "stot", "last_chk", "novelty"]);
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const any = fc.string({ unit: "grapheme", maxLength: 300 });
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), any, any, (stot, text, other) => {
      const stats = fromBinary(StatsSchema, encode(`a,${stot},${quoted(text)},${quoted(other)}`));
      assert.deepEqual([stats.stot, stats.lastChk ?? ""], [stot, text]);
      assert.equal(stats.other.novelty ?? "", other);
    }),
  );
});

function asCells(stats: Stats): Record<string, string> {
  const cells: Record<string, string> = {};
  for (const field of StatsSchema.fields) {
    const value = (stats as unknown as Record<string, unknown>)[field.localName];
    if (field.name === "type") cells.type = String(stats.type - StatsType.FRONTEND);
    else if (field.name !== "other" && value !== undefined) cells[field.name] = String(value);
  }
  return cells;
}

function kindOf(field: DescField): string {
  if (field.fieldKind === "enum") return "enum";
  const names: Record<number, string> = { 4: "uint64", 5: "int32", 9: "string", 13: "uint32" };
  return field.fieldKind === "scalar" ? (names[field.scalar] ?? "?") : "?";
}
