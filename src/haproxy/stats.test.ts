import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readScalar } from "./scalar.ts";
import { parseStats } from "./stats.ts";

test("show stat becomes rows with every column that is not empty", () => {
  const rows = parseStats(`# pxname,svname,scur,bin,status,type,last_chk,hanafail,
main,FRONTEND,3,9007199254740993,OPEN,0,,,
app,123,0,0,UP 1/2,2,"said ""no"", then
1,2",0007,
app,BACKEND,1,,UP,1,,,
main,sock-1,0,5,OPEN,3,,,
`);
  assert.deepEqual(
    rows?.map((row) => ({ ...row, values: { ...row.values } })),
    [
      {
        kind: "frontend",
        proxy: "main",
        service: "FRONTEND",
        values: {
          pxname: "main",
          svname: "FRONTEND",
          scur: 3,
          bin: 9007199254740993n,
          status: "OPEN",
          type: 0,
        },
      },
      {
        kind: "server",
        proxy: "app",
        service: "123",
        values: {
          pxname: "app",
          svname: "123",
          scur: 0,
          bin: 0,
          status: "UP 1/2",
          type: 2,
          last_chk: 'said "no", then\n1,2',
          hanafail: "0007",
        },
      },
      {
        kind: "backend",
        proxy: "app",
        service: "BACKEND",
        values: { pxname: "app", svname: "BACKEND", scur: 1, status: "UP", type: 1 },
      },
      {
        kind: "listener",
        proxy: "main",
        service: "sock-1",
        values: { pxname: "main", svname: "sock-1", scur: 0, bin: 5, status: "OPEN", type: 3 },
      },
    ],
  );
  assert.equal(parseStats("Unknown command"), undefined);
});

test("a scalar is printed as it was read", () => {
  assert.deepEqual(["0", "-12", "9007199254740993", "007", "1.5", "-", "", "1e3"].map(readScalar), [
    ...[0, -12, 9007199254740993n],
    ...["007", "1.5", "-", "", "1e3"],
  ]);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.bigInt().map(String), fc.double().map(String)), (text) => {
      assert.equal(String(readScalar(text)), text);
    }),
  );
});
