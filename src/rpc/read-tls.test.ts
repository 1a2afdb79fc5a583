import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { StartError } from "../lib/start-error.ts";
import { readTls, refusePlaintext } from "./read-tls.ts";

const file = (name: string) =>
  fileURLToPath(new URL(`../../test/contract/edge/tls/${name}`, import.meta.url));

test("what TLS is served with is read, with and without authorities", async () => {
  const files = { certificate: file("server.pem"), key: file("server.key") };
  assert.equal((await readTls({ ...files, ca: undefined })).ca, undefined);
  assert.match(String((await readTls({ ...files, ca: file("ca.pem") })).ca), /BEGIN CERTIFICATE/);
});

for (const [what, files, says] of [
  [
    "a file that is missing",
    { certificate: file("none.pem"), key: file("server.key") },
    /none\.pem cannot be read/,
  ],
  [
    "a key of another certificate",
    { certificate: file("server.pem"), key: file("client.key") },
    /TLS cannot be served with .*server\.pem, .*client\.key: .*key values mismatch/,
  ],
  ["no certificate", { certificate: file("README.md"), key: file("server.key") }, /TLS cannot be served/],
] as const) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(readTls({ ...files, ca: undefined }), (error: Error) => {
      assert.ok(error instanceof StartError);
      assert.match(error.message, says);
      assert.doesNotMatch(error.message, /PRIVATE KEY/);
      return true;
    });
  });
}

test("plain text stays on this machine", () => {
  for (const host of ["127.0.0.1", "127.9.9.9", "::1"]) refusePlaintext({ kind: "tcp", host, port: 1 });
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "localhost"])
    assert.throws(
      () => refusePlaintext({ kind: "tcp", host, port: 1 }),
      /--tls-certificate.*--allow-plaintext/,
    );
});
