import assert from "node:assert/strict";
import { test } from "node:test";
import { acceptingWorker, parseShowProc } from "./show-proc.ts";

const HEAD = "#<PID>          <type>          <reloads>       <uptime>        <version>      ";

const cases = [
  {
    name: "2.6, after a reload, with an old worker and a program",
    answer: `${HEAD}
1162            master          5 [failed: 0]   1d02h03m04s     2.6.12-1+deb12u4
# workers
1271            worker          0               0d00h00m05s     2.6.12-1+deb12u4
# old workers
1233            worker          3               0d00h01m43s     2.5.0
# programs
1244            foo             0               0d00h00m00s     -
`,
    expected: {
      master: { pid: 1162, reloads: 5, uptimeSeconds: 93_784, version: "2.6.12-1+deb12u4" },
      failedReloads: 0,
      workers: [{ pid: 1271, reloads: 0, uptimeSeconds: 5, version: "2.6.12-1+deb12u4" }],
      oldWorkers: [{ pid: 1233, reloads: 3, uptimeSeconds: 103, version: "2.5.0" }],
    },
    accepting: 1271,
  },
  {
    name: "2.6 and 3.0, after a failed reload: the worker stays the present one",
    answer: `${HEAD}
20424           master          2 [failed: 2]   0d00h00m03s     2.6.12-1+deb12u4
# workers
20427           worker          2               0d00h00m03s     2.6.12-1+deb12u4
# programs
`,
    expected: {
      master: { pid: 20424, reloads: 2, uptimeSeconds: 3, version: "2.6.12-1+deb12u4" },
      failedReloads: 2,
      workers: [{ pid: 20427, reloads: 2, uptimeSeconds: 3, version: "2.6.12-1+deb12u4" }],
      oldWorkers: [],
    },
    accepting: 20427,
  },
  {
    name: "3.2, after a failed reload: the worker is listed as old",
    answer: `${HEAD}
20606           master          2 [failed: 1]   0d00h00m02s     3.2.26-1       
# workers
# old workers
20500           worker          7               0d00h00m09s     3.2.26-1       
20609           worker          2               0d00h00m02s     3.2.26-1       
`,
    expected: {
      master: { pid: 20606, reloads: 2, uptimeSeconds: 2, version: "3.2.26-1" },
      failedReloads: 1,
      workers: [],
      oldWorkers: [
        { pid: 20500, reloads: 7, uptimeSeconds: 9, version: "3.2.26-1" },
        { pid: 20609, reloads: 2, uptimeSeconds: 2, version: "3.2.26-1" },
      ],
    },
    accepting: 20609,
  },
  {
    name: "3.0, when the new worker has died: nobody accepts",
    answer: `${HEAD}
20870           master          1 [failed: 0]   0d00h00m02s     3.0.11-1+deb13u4
# workers
# old workers
20873           worker          1               0d00h00m02s     3.0.11-1+deb13u4
# programs
`,
    expected: {
      master: { pid: 20870, reloads: 1, uptimeSeconds: 2, version: "3.0.11-1+deb13u4" },
      failedReloads: 0,
      workers: [],
      oldWorkers: [{ pid: 20873, reloads: 1, uptimeSeconds: 2, version: "3.0.11-1+deb13u4" }],
    },
    accepting: undefined,
  },
];

for (const { name, answer, expected, accepting } of cases) {
  test(`show proc: ${name}`, () => {
    const list = parseShowProc(answer);
    assert.deepEqual(list, expected);
    assert.equal(list && acceptingWorker(list)?.pid, accepting);
  });
}

test("show proc: something else is not a list", () => {
  assert.equal(parseShowProc("Unknown command"), undefined);
});
