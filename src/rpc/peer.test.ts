import assert from "node:assert/strict";
import { test } from "node:test";
import { hostOf } from "./peer.ts";

for (const [address, host] of [
  ["127.0.0.1", "127.0.0.1"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["::1", "0:0:0:0::/64"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8:1:2::6", "2001:db8:1:2::/64"],
  ["2001:db8::6", "2001:db8:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["unknown", "unknown"],
] as const) {
  test(`${address} is counted as ${host}`, () => {
    assert.equal(hostOf(address), host);
  });
}
