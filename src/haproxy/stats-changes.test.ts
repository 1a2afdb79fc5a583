import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { statsChanges } from "./stats-changes.ts";
import { parseStatsTable, type StatsTable } from "./stats-table.ts";

const HEADER = "# pxname,svname,scur,lastchg,downtime,type,lastsess,last_chk,\n";

function table(...rows: string[]): StatsTable {
  const parsed = parseStatsTable(HEADER + rows.map((row) => `${row}\n`).join(""), 1);
  assert.ok(parsed);
  return parsed;
}

const cases: readonly [
  name: string,
  before: string[],
  after: string[],
  changed: number[],
  removed: number[],
][] = [
  ["nothing", ["a,x,1,2,3,2,4,ok,"], ["a,x,1,2,3,2,4,ok,"], [], []],
  ["ages grow, also by a digit", ["a,x,1,9,99,2,-1,ok,"], ["a,x,1,10,100,2,0,ok,"], [], []],
  [
    "a gauge",
    ["a,x,1,2,3,2,4,ok,", "a,y,1,2,3,2,4,ok,"],
    ["a,x,1,2,3,2,4,ok,", "a,y,2,2,3,2,4,ok,"],
    [1],
    [],
  ],
  ["what comes after the ages", ["a,x,1,2,3,2,4,ok,"], ["a,x,1,2,3,2,4,no,"], [0], []],
  ["digits move between columns", ["a,x,1,2,3,2,4,ok,"], ["a,x,,12,3,2,4,ok,"], [0], []],
  ["a cell becomes empty", ["a,x,1,2,3,2,4,ok,"], ["a,x,1,2,3,2,4,,"], [0], []],
  ["quotes and a line break", ['a,x,1,2,3,2,4,"no, ""x""\ny",'], ['a,x,1,5,3,2,4,"no, ""x""\nz",'], [0], []],
  ["a row more in front", ["a,x,1,2,3,2,4,,"], ["a,n,1,2,3,2,4,,", "a,x,1,2,3,2,4,,"], [0], []],
  ["a row less in front", ["a,n,1,2,3,2,4,,", "a,x,1,2,3,2,4,,"], ["a,x,1,2,3,2,4,,"], [], [0]],
  ["the same name, another type", ["a,x,1,2,3,2,4,,"], ["a,x,1,2,3,3,4,,"], [0], [0]],
  ["other order", ["a,x,1,,,2,,,", "a,y,1,,,2,,,"], ["a,y,1,,,2,,,", "a,x,1,,,2,,,"], [], []],
];

for (const [name, before, after, changed, removed] of cases) {
  test(`what changes in statistics: ${name}`, () => {
    const old = table(...before);
    assert.deepEqual(statsChanges(old, table(...after)), {
      changed,
      removed: removed.map((at) => old.rows[at]),
    });
  });
}

test("other columns change every row", () => {
  const other = parseStatsTable("# pxname,svname,type,\na,x,2,\n", 1);
  assert.deepEqual(statsChanges(table("a,x,1,2,3,2,4,,"), other as StatsTable).changed, [0]);
});

test("what is told brings a reader from any table to any other", () => {
  const row = fc
    .tuple(fc.constantFrom("a", "b"), fc.constantFrom("x", "y", "z"), fc.nat(2), fc.constantFrom(2, 3))
    .map(([proxy, service, scur, type]) => ({
      key: `${proxy},${service},${type}`,
      text: `${proxy},${service},${scur},,,${type},,,`,
    }));
  const rows = fc
    .uniqueArray(row, { selector: ({ key }) => key })
    .map((list) => list.map(({ text }) => text));
  fc.assert(
    fc.property(rows, rows, (old, young) => {
      const [before, after] = [table(...old), table(...young)];
      const { changed, removed } = statsChanges(before, after);
      const key = (text: string) =>
        text
          .split(",")
          .filter((_, at) => [0, 1, 5].includes(at))
          .join();
      const seen = new Map(before.rows.map((text) => [key(text), text]));
      for (const text of removed) seen.delete(key(text));
      for (const at of changed) seen.set(key(after.rows[at] as string), after.rows[at] as string);
      assert.deepEqual([...seen.values()].sort(), after.rows.toSorted());
    }),
  );
});
