import assert from "node:assert/strict";
import { test } from "node:test";
import { alternativeNames } from "./alternative-names.ts";

for (const [text, names] of [
  ["", []],
  ["DNS:a.example", ["DNS:a.example"]],
  [
    "DNS:a.example, URI:spiffe://b/c, IP Address:192.0.2.1",
    ["DNS:a.example", "URI:spiffe://b/c", "IP Address:192.0.2.1"],
  ],
  ['URI:"http://x, DNS:admin.example, y", DNS:b', ["URI:http://x, DNS:admin.example, y", "DNS:b"]],
  ['URI:"a\\", DNS:admin", DNS:b', ['URI:a", DNS:admin', "DNS:b"]],
] as const) {
  test(`${JSON.stringify(text)} names ${names.length}`, () => {
    assert.deepEqual(alternativeNames(text), names);
  });
}
