import assert from "node:assert/strict";
import { test } from "node:test";
import { createAuthority } from "../../test/support/certificates.ts";
import { validityTroubles } from "./certificate-validity.ts";

const DAY_MS = 86_400_000;
const now = Date.UTC(2030, 5, 15);
const at = (days: number) => new Date(now + days * DAY_MS);
const authority = createAuthority();
const certificate = (from: number, to: number) =>
  authority.issue(["localhost"], { notBefore: at(from), notAfter: at(to) }).certificate;

for (const [name, certificates, expected] of [
  ["one that is valid for long", [certificate(-1, 31)], []],
  [
    "one that has ended",
    [certificate(-9, -1)],
    ["untimely: the certificate of a.pem has expired: it ended on 2030-06-14T00:00:00.000Z"],
  ],
  [
    "one that has not begun",
    [certificate(1, 99)],
    ["untimely: the certificate of a.pem is not valid yet: it begins on 2030-06-16T00:00:00.000Z"],
  ],
  [
    "one that ends soon",
    [certificate(-1, 29)],
    ["ending: the certificate of a.pem ends soon, on 2030-07-14T00:00:00.000Z"],
  ],
  [
    "an issuer that has ended",
    [certificate(-1, 99), certificate(-9, -1)],
    ["untimely: the 2. certificate of a.pem has expired: it ended on 2030-06-14T00:00:00.000Z"],
  ],
] as const)
  test(`told of when it is valid: ${name}`, () => {
    const troubles = validityTroubles(
      { path: "a.pem", pem: Buffer.from(certificates.join("")) },
      now,
      30 * DAY_MS,
    );
    assert.deepEqual(
      troubles.map(({ kind, what }) => `${kind}: ${what}`),
      expected,
    );
  });
