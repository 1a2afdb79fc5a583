import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { pino } from "pino";
import { ApplyRequestSchema, type ChangeSchema } from "../../gen/haplane/v1/configuration_pb.js";
import { Role } from "../../gen/haplane/v1/options_pb.js";
import { stagedConfiguration } from "../../src/commit/staged-configuration.ts";
import { Transactions } from "../../src/commit/transactions.ts";
import { createEtags } from "../../src/config/etag.ts";
import { locate, readResourceId } from "../../src/config/locate.ts";
import { createResourceReader } from "../../src/config/read-resource.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { Caller } from "../../src/rpc/handler.ts";
import { batch, write } from "../../src/service/configuration-writes.ts";
import { BODY, commitWorld } from "../support/commit-world.ts";
import { scriptedHaproxy } from "../support/scripted-factory.ts";

const CALLER: Caller = { name: "tester", role: Role.ADMIN };
const COUNT = 1_000;
const NAMES = Array.from({ length: COUNT }, (_, i) => `b${i}`);
const MANY = `${BODY}\n${NAMES.map((name) => `backend ${name}\n    balance roundrobin\n`).join("\n")}`;

/** Counts what is done between two turns of the event loop: for so long every other call waits. */
class Heartbeat {
  longest = 0;
  #since = 0;
  #stopped = false;

  beat(): void {
    this.longest = Math.max(this.longest, this.#since);
    this.#since = 0;
    if (!this.#stopped) setImmediate(() => this.beat());
  }

  work(): void {
    this.#since += 1;
  }

  stop(): void {
    this.#stopped = true;
    this.longest = Math.max(this.longest, this.#since);
  }
}

async function world(t: TestContext) {
  const { commit, store } = await commitWorld(t, scriptedHaproxy, MANY);
  const heart = new Heartbeat();
  const real = createEtags(store.etagKey);
  // Each change asks for the etag of what it writes, when it is made and when all are.
  const etags: typeof real = {
    ...real,
    of(located) {
      heart.work();
      return real.of(located);
    },
  };
  const context = () => ({ etags, version: undefined, etagsCount: true });
  const owns = () => {
    heart.work();
    return false;
  };
  const logger = pino({ level: "silent" });
  const subject = stagedConfiguration({ commit, context, owns });
  const transactions = new Transactions({ subject, store, clock: systemClock, logger });
  t.after(() => transactions.stop());
  const tools = { commit, transactions, context, owns, reader: createResourceReader(etags) };
  const etagOf = (name: string) => real.of(locate(commit.document, readResourceId(name, "name"))!);
  return { tools, heart, etagOf, transactions };
}

type ChangeInit = MessageInitShape<typeof ChangeSchema>;

function update(name: string, etag: string): ChangeInit {
  const backend = { balance: { algorithm: { case: "leastconn" as const, value: {} } } };
  const resource = { name, etag, kind: { case: "backend" as const, value: backend } };
  return { operation: { case: "update", value: { resource } } };
}

const requests: Readonly<Record<string, (etagOf: (name: string) => string) => object>> = {
  "many changes": (etagOf) => ({
    changes: NAMES.map((name) => update(`backends/${name}`, etagOf(`backends/${name}`))),
  }),
  "a desired state of many resources": () => ({
    desired: NAMES.map((name) => ({ name: `backends/${name}`, kind: { case: "backend", value: {} } })),
  }),
};

for (const [what, requestOf] of Object.entries(requests)) {
  test(`alive: others are served while ${what} are made`, async (t) => {
    const { tools, heart, etagOf } = await world(t);
    const input = batch(create(ApplyRequestSchema, requestOf(etagOf)));
    heart.beat();
    const options = undefined;
    const answer = await write(tools, { caller: CALLER, input, options, message: "", along: undefined });
    heart.stop();
    assert.equal(answer.done.length, COUNT);
    assert.ok(heart.longest < COUNT / 4, `${heart.longest} of ${COUNT} changes were made at a stretch`);
  });
}

test("alive: others are served while a transaction of many changes is staged and committed", async (t) => {
  const { tools, heart, etagOf, transactions } = await world(t);
  const user = { name: CALLER.name, isAdmin: true };
  const { name } = await transactions.begin(CALLER.name, 60_000);
  const input = batch(create(ApplyRequestSchema, requests["many changes"]!(etagOf)));
  heart.beat();
  await transactions.stage(name, user, input, true);
  await transactions.commit(name, user, { validateOnly: false, message: "" });
  heart.stop();
  assert.ok(heart.longest > 0);
  assert.ok(tools.commit.document.print(0).toString().includes("balance leastconn"));
  // What a transaction guards is looked at in one go: that is one etag for each resource.
  assert.ok(heart.longest <= COUNT * 1.5, `${heart.longest} of ${COUNT} at a stretch`);
});
