import assert from "node:assert/strict";
import { test } from "node:test";
import { DomainError } from "../../src/lib/errors.ts";
import { commitWorld, server, textEdit } from "../support/commit-world.ts";
import { scriptedHaproxy } from "../support/scripted-factory.ts";
import { eventually } from "../support/wait.ts";

/** So many are asked for at once, and so many of them may wait. */
const ASKED = 200;
const TAKEN = 32;

test("free-running: a flood of validations is bounded, and changes by commands and by reloads go on meanwhile", async (t) => {
  const w = await commitWorld(t, scriptedHaproxy);
  const haproxy = w.haproxy as Awaited<ReturnType<typeof scriptedHaproxy>>["haproxy"];
  const checks = { running: 0, most: 0 };
  const opened = Promise.withResolvers<void>();
  const isHeld = Promise.withResolvers<void>();
  const held = async () => {
    checks.running += 1;
    checks.most = Math.max(checks.most, checks.running);
    isHeld.resolve();
    await opened.promise;
    checks.running -= 1;
  };
  haproxy.beforeCheck = held;
  let applied = 0;
  const edit = textEdit((text) => {
    applied += 1;
    return text.replace("connect 1s", "connect 9s");
  });
  let ended = 0;
  const validate = () =>
    w.commit
      .change({ edit, validateOnly: true })
      .catch((error: unknown) => error)
      .finally(() => {
        ended += 1;
      });
  const flood = Promise.all(Array.from({ length: ASKED }, validate));
  await isHeld.promise;
  await eventually(() => assert.equal(ended, ASKED - TAKEN));
  assert.equal(applied, TAKEN, "who is refused costs nothing");

  // Changes that need no check, one that does, and discovery's, while the flood's own check does not end.
  haproxy.beforeCheck = async () => {};
  const weight = await w.commit.change({ edit: textEdit((text) => text.replace("weight 5", "weight 6")) });
  const reload = await w.commit.change({ edit: textEdit((text) => text.replace("client  5s", "client 6s")) });
  const add = { kind: "add", ...server("c", 18003, 3) } as const;
  assert.deepEqual(await w.commit.target.changeServers("web", [add], "sources/test"), [{ ok: true }]);
  assert.deepEqual([weight.via, reload.via], ["runtime", "reload"]);
  assert.equal(ended, ASKED - TAKEN, "the flood waits still");

  haproxy.beforeCheck = held;
  opened.resolve();
  const refused = (await flood).filter((outcome) => outcome instanceof Error);
  assert.equal(refused.length, ASKED - TAKEN);
  for (const error of refused)
    assert.ok(error instanceof DomainError && error.reason === "LIMIT_EXCEEDED" && error.retryAfterMs);
  assert.equal(checks.most, 1, "they are checked one at a time");
  assert.doesNotMatch(await w.text(), /connect 9s/);
  // Whoever comes back is served.
  assert.ok(!((await validate()) instanceof Error));
});
