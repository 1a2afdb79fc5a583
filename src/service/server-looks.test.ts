import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { ServerState } from "../haproxy/server-states.ts";
import { createServerLooks } from "./server-looks.ts";

type Answer = PromiseWithResolvers<readonly ServerState[]>;

function world() {
  const asked: { backend: string | undefined; answer: Answer }[] = [];
  const look = createServerLooks({
    serverStates(backend, options) {
      assert.equal(options?.behindChanges, true);
      const answer: Answer = Promise.withResolvers();
      asked.push({ backend, answer });
      return answer.promise;
    },
  });
  return { asked, look };
}

test("who asks while a look is under way gets the next one, with all others who do", async () => {
  const { asked, look } = world();
  const first = look("a");
  const [second, third, other] = [look("a"), look("a"), look("b")];
  assert.deepEqual(
    asked.map(({ backend }) => backend),
    ["a", "b"],
  );
  asked[0]!.answer.resolve([]);
  const before = await first;
  await turn();
  assert.equal(asked.length, 3);
  asked[2]!.answer.resolve([{ server: "new" } as ServerState]);
  assert.equal(await second, await third);
  assert.notEqual(await second, before);
  asked[1]!.answer.resolve([]);
  await other;
  await turn();
  void look("a");
  assert.equal(asked.length, 4, "one that is asked for later is made at once");
});

test("a look that fails is a failure for those who share it only", async () => {
  const { asked, look } = world();
  const first = look("a");
  const [second, third] = [look("a"), look("a")];
  asked[0]!.answer.reject(new Error("stuck"));
  await assert.rejects(first, /stuck/);
  await turn();
  asked[1]!.answer.resolve([]);
  assert.deepEqual(await Promise.all([second, third]), [[], []]);
  assert.equal(asked.length, 2);
});
