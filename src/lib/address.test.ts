import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress, parseAddress } from "./address.ts";

for (const text of ["127.0.0.1:5555", "[::1]:0", "localhost:65535"]) {
  test(`${text} is read and written alike`, () => {
    const address = parseAddress(text);
    assert.ok(address);
    assert.equal(formatAddress(address), text);
  });
}

for (const text of [
  "5555",
  ":5555",
  "127.0.0.1",
  "127.0.0.1:70000",
  "::1:80",
  "[::1]",
  "a b:1",
  "http://a:1",
  "",
]) {
  test(`${JSON.stringify(text)} is not an address`, () => assert.equal(parseAddress(text), undefined));
}
