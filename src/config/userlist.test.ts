import assert from "node:assert/strict";
import { test } from "node:test";
import { Document } from "../text/document.ts";
import { findUser } from "./userlist.ts";

const document = Document.parse([
  {
    path: "haproxy.cfg",
    bytes: Buffer.from(`userlist ops
    group g users tom
    user tom insecure-password "hunter 2" groups g # a comment
    user ann password $6$salt$hash
    user env insecure-password "\${SECRET}"
    user none
    user twice insecure-password a
    user twice insecure-password b
userlist two
    user tom insecure-password a
userlist two
    user tom insecure-password b
.if defined(X)
userlist maybe
    user tom insecure-password a
.endif
`),
  },
]);

const CASES: readonly (readonly [list: string, user: string, password: string | undefined])[] = [
  ["ops", "tom", "clear hunter 2"],
  ["ops", "ann", "hashed $6$salt$hash"],
  ["ops", "env", undefined],
  ["ops", "none", undefined],
  ["ops", "twice", undefined],
  ["ops", "g", undefined],
  ["two", "tom", undefined],
  ["maybe", "tom", undefined],
  ["nothing", "tom", undefined],
];
for (const [list, user, expected] of CASES) {
  test(`${user} of ${list}: ${expected ?? "cannot come in"}`, () => {
    const found = findUser(document, list, user);
    assert.equal(found && `${found.password.kind} ${found.password.text}`, expected);
  });
}
