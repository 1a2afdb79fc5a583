import assert from "node:assert/strict";
import { test } from "node:test";
import { Role } from "../../gen/haplane/v1/options_pb.js";
import { systemClock } from "../lib/clock.ts";
import { hashToken } from "./auth.ts";
import { createPasswordCheck } from "./password-check.ts";
import { MIN_TOKEN_LENGTH, principalsVerifier } from "./principals.ts";

test("a short token lets nobody in, even where its hash is kept", async (t) => {
  const check = createPasswordCheck();
  t.after(() => check.close());
  const tokens = ["", "x", "x".repeat(MIN_TOKEN_LENGTH - 1), "x".repeat(MIN_TOKEN_LENGTH)];
  const verify = principalsVerifier({
    principals: () => ({
      tokens: tokens.map((token) => ({
        caller: { name: `${token.length} characters`, role: Role.VIEWER },
        sha256: hashToken(token),
      })),
      users: new Map(),
      roleOfUser: () => undefined,
      roleOfCertificate: () => undefined,
    }),
    listed: { find: () => undefined, passwords: () => [] },
    ...{ check, clock: systemClock },
  });
  const callers = await Promise.all(tokens.map((token) => verify({ scheme: "bearer", token })));
  assert.deepEqual(
    callers.map((caller) => caller?.name),
    [undefined, undefined, undefined, "32 characters"],
  );
});
