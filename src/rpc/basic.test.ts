import assert from "node:assert/strict";
import { test } from "node:test";
import { Role } from "../../gen/haplane/v1/options_pb.js";
import { ManualClock } from "../lib/manual-clock.ts";
import { basicVerifier, type UserRecord } from "./basic.ts";
import { createPasswordCheck } from "./password-check.ts";

const SECRET =
  "$6$somesalt$JX0Uhce8rLRHbaqoSQDYsnTxsqcjCNNcrl79ieTwPGzEhxBEeJcsgDUWIOwc3sDvZN34ZJBWQep7.lcAuSesy/";

const record = (name: string, kind: "clear" | "hashed", text: string): [string, UserRecord] => [
  name,
  { caller: { name, role: Role.EDITOR }, password: { kind, text } },
];

test("users come in with their password, clear or hashed, and with nothing else", async (t) => {
  const users = new Map([
    record("tom", "clear", "hunter2"),
    record("ann", "hashed", SECRET),
    record("old", "hashed", "$1$salt$qJH7.N4xYta3aEG/dfqo/0"),
  ]);
  const check = createPasswordCheck();
  t.after(() => check.close());
  const verify = basicVerifier({
    user: (name) => users.get(name),
    passwords: () => [...users.values()].map(({ password }) => password),
    check,
    clock: new ManualClock(),
  });
  const ask = async (user: string, password: string) =>
    (await verify({ scheme: "basic", user, password }))?.name;
  assert.equal(await ask("tom", "hunter2"), "tom");
  assert.equal(await ask("ann", "secret"), "ann");
  for (const [user, password] of [
    ["tom", "hunter"],
    ["tom", ""],
    ["ann", SECRET],
    ["ann", "Secret"],
    ["old", "secret"],
    ["nobody", "secret"],
    ["", ""],
  ] as const)
    assert.equal(await ask(user, password), undefined, `${user}:${password}`);
  assert.equal(await verify({ scheme: "bearer", token: "hunter2" }), undefined);
});

test("a password that was right is not hashed again for a minute, and one that was changed is not believed", async () => {
  let checks = 0;
  let text = SECRET;
  const clock = new ManualClock();
  const verify = basicVerifier({
    user: (name) => (name === "ann" ? record("ann", "hashed", text)[1] : undefined),
    passwords: () => [{ kind: "hashed", text }],
    check: {
      verify: async (password, { salt }) => {
        checks++;
        return password === "secret" && salt === "somesalt";
      },
      close: async () => {},
    },
    clock,
  });
  const ask = () => verify({ scheme: "basic", user: "ann", password: "secret" });
  assert.equal((await ask())?.name, "ann");
  assert.equal((await ask())?.name, "ann");
  assert.equal(checks, 1);
  clock.advance(60_001);
  assert.equal((await ask())?.name, "ann");
  assert.equal(checks, 2);
  text = SECRET.replace("somesalt", "othersalt");
  assert.equal(await ask(), undefined);
});

test("whatever is wrong takes as many rounds as the slowest hash", async () => {
  const slow = SECRET.replace("$6$", "$6$rounds=20000$");
  const tooSlow = SECRET.replace("$6$", "$6$rounds=999999999$");
  const users = new Map([
    record("tom", "clear", "hunter2"),
    record("ann", "hashed", SECRET),
    record("sue", "hashed", slow),
    record("eve", "hashed", tooSlow),
    record("old", "hashed", "$1$salt$qJH7.N4xYta3aEG/dfqo/0"),
  ]);
  let rounds = 0;
  const verify = basicVerifier({
    user: (name) => users.get(name),
    passwords: () => [...users.values()].map(({ password }) => password),
    check: {
      verify: async (_password, hash) => {
        rounds += hash.rounds;
        return false;
      },
      close: async () => {},
    },
    clock: new ManualClock(),
  });
  for (const user of [...users.keys(), "nobody", ""]) {
    rounds = 0;
    assert.equal(await verify({ scheme: "basic", user, password: "wrong" }), undefined);
    assert.equal(rounds, 20_000, user);
  }
});
