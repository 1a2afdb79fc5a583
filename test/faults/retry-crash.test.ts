import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { create, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { pino } from "pino";
import {
  type Applied,
  BeginTransactionRequestSchema,
  CommitTransactionRequestSchema,
  CreateRequestSchema,
} from "../../gen/haplane/v1/configuration_pb.js";
import { Role } from "../../gen/haplane/v1/options_pb.js";
import { Commit } from "../../src/commit/commit.ts";
import { DEFAULT_POLICY } from "../../src/commit/policy.ts";
import type { Haproxy } from "../../src/haproxy/haproxy.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { DomainError } from "../../src/lib/errors.ts";
import type { CallContext } from "../../src/rpc/handler.ts";
import { configurationService } from "../../src/service/configuration.ts";
import { openConfiguration } from "../../src/service/open-configuration.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { BODY } from "../support/commit-world.ts";
import { CrashPoint, crashingFs, crashingHaproxy, crashingStore } from "../support/crash.ts";
import { createScriptedHaproxy, type ScriptedHaproxy } from "../support/scripted-haproxy.ts";

const logger = pino({ level: "silent" });
const NEVER = new CrashPoint(Number.POSITIVE_INFINITY);

interface Answer {
  readonly revision: bigint;
  readonly applied?: Applied;
}

/** Calls a method as its client does. */
type Call = (method: string, request: unknown) => Promise<Answer & { transaction?: { name: string } }>;

type CreateInit = MessageInitShape<typeof CreateRequestSchema>;

const createRequest = (resource: NonNullable<CreateInit["resource"]>) =>
  create(CreateRequestSchema, { resource, options: { requestId: "once" } });

const SERVER = createRequest({
  name: "backends/web/servers/c",
  kind: { case: "server", value: { address: "127.0.0.1", port: 18003 } },
});
const BACKEND = createRequest({ name: "backends/other", kind: { case: "backend", value: {} } });

/** What a client does, and does again when it heard nothing. Every time with the same ids. */
const WRITES: readonly { readonly name: string; readonly call: (call: Call) => Promise<Answer> }[] = [
  { name: "a write that goes by commands", call: (call) => call("create", SERVER) },
  { name: "a write that takes a reload", call: (call) => call("create", BACKEND) },
];

/** One life of a haplane over a directory, killed at a point after its start; undefined when it did not come to its end. */
async function live<T>(
  directory: string,
  haproxy: Haproxy,
  point: CrashPoint,
  act: (call: Call, store: Store) => Promise<T>,
): Promise<T | undefined> {
  const real = await openStore(join(directory, "state"), { clock: systemClock, logger, pid: process.pid });
  const store = crashingStore(real, point);
  let commit: Commit | undefined;
  let stop = () => {};
  const whole = (async () => {
    commit = await Commit.open({
      ...{ paths: [join(directory, "haproxy.cfg")], store, logger, clock: systemClock },
      haproxy: crashingHaproxy(haproxy, point),
      publishEphemeral: () => {},
      fs: crashingFs(point),
    });
    await commit.start();
    const options = await openConfiguration({
      ...{ commit, haproxy, store, logger, clock: systemClock, checks: true, policy: DEFAULT_POLICY },
      sources: { owns: () => false },
    });
    stop = () => options.transactions.stop();
    const { handlers } = configurationService(options);
    const context = { caller: { name: "tester", role: Role.ADMIN } } as CallContext;
    point.arm();
    const done = await act(async (method, request) => {
      const handler = handlers[method] as (request: unknown, context: CallContext) => Promise<Answer>;
      return handler(request, context);
    }, real);
    await commit.stop();
    return done;
  })();
  try {
    return await Promise.race([whole, point.reached.then(() => undefined)]);
  } finally {
    whole.catch(() => {});
    stop();
    commit?.abandon();
    await point.release();
    await real.close();
  }
}

interface Place<T> {
  readonly directory: string;
  /** What was done in it at first. */
  readonly prepared: T;
  /** The directory again as it was, with an HAProxy that runs it. */
  fresh(): Promise<ScriptedHaproxy>;
}

async function placeFor<T>(
  t: { after(end: () => Promise<void>): void },
  prepare: (call: Call) => Promise<T>,
): Promise<Place<T>> {
  const root = await mkdtemp(join(tmpdir(), "haplane-retry-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  const [directory, settled] = [join(root, "live"), join(root, "settled")];
  await mkdir(directory);
  const path = join(directory, "haproxy.cfg");
  await writeFile(path, BODY);
  const running = async () => {
    const haproxy = await createScriptedHaproxy([path]);
    await haproxy.start();
    return haproxy;
  };
  const prepared = (await live(directory, await running(), NEVER, prepare))!;
  await cp(directory, settled, { recursive: true });
  return {
    ...{ directory, prepared },
    async fresh() {
      await rm(directory, { recursive: true });
      await cp(settled, directory, { recursive: true });
      return running();
    },
  };
}

for (const { name, call: write } of WRITES) {
  test(`durable: ${name} is made once, wherever it is killed before its client tries again`, async (t) => {
    const { directory, fresh } = await placeFor(t, async () => true);
    const seen = new Set<string>();
    for (let at = 1; ; at++) {
      const haproxy = await fresh();
      const first = await live(directory, haproxy, new CrashPoint(at, false), (call) => write(call));
      await live(directory, haproxy, NEVER, async (call, store) => {
        const newest = store.newestRevision;
        const again = await write(call);
        const replayed = again.applied?.replayed === true;
        seen.add(replayed ? "replayed" : "made");
        assert.equal(
          store.newestRevision,
          replayed ? newest : newest + 1,
          `operation ${at}: what was made before is not made again`,
        );
        assert.equal(Number(again.revision), store.newestRevision, `operation ${at}: the revision is told`);
        if (first !== undefined) assert.equal(again.revision, first.revision);
      });
      if (first === undefined) continue;
      assert.deepEqual([...seen].sort(), ["made", "replayed"]);
      assert.ok(at > 4, "operations were counted");
      return;
    }
  });
}

test("durable: a transaction is committed once, wherever it is killed before its client tries again", async (t) => {
  const { directory, fresh, prepared } = await placeFor(t, (call) => staged(call, SERVER));
  const commit = create(CommitTransactionRequestSchema, { name: prepared, requestId: "once" });
  for (let at = 1; ; at++) {
    const haproxy = await fresh();
    const first = await live(directory, haproxy, new CrashPoint(at, false), (call) =>
      call("commitTransaction", commit),
    );
    await live(directory, haproxy, NEVER, async (call, store) => {
      const newest = store.newestRevision;
      const again = await call("commitTransaction", commit);
      assert.equal(store.newestRevision, again.applied?.replayed ? newest : newest + 1, `operation ${at}`);
      assert.deepEqual(await store.transactions(), [], `operation ${at}: the transaction has ended`);
    });
    if (first === undefined) continue;
    assert.ok(at > 4, "operations were counted");
    return;
  }
});

test("a write that HAProxy refuses leaves no answer, and its transaction open", async (t) => {
  const { directory, fresh } = await placeFor(t, async () => true);
  const haproxy = await fresh();
  const refuse = () => {
    haproxy.refuse = () => new DomainError("HAPROXY_REFUSED", "not now");
    haproxy.beforeReload = async () => ({ kind: "refused", messages: [], log: "not now", tookMs: 1 });
  };
  const agree = () => {
    haproxy.refuse = () => undefined;
    haproxy.beforeReload = async () => undefined;
  };
  await live(directory, haproxy, NEVER, async (call, store) => {
    refuse();
    await assert.rejects(call("create", SERVER));
    agree();
    assert.equal(await store.answer("tester", "once"), undefined);
    assert.equal((await call("create", SERVER)).applied?.replayed, false);
    assert.equal((await call("create", SERVER)).applied?.replayed, true);
  });
  const other = { ...SERVER.resource!, name: "backends/web/servers/d" };
  const { name, commit } = (await live(directory, haproxy, NEVER, async (call) => {
    const transaction = await staged(call, { resource: other });
    const request = create(CommitTransactionRequestSchema, { name: transaction });
    refuse();
    await assert.rejects(call("commitTransaction", request));
    agree();
    return { name: transaction, commit: request };
  }))!;
  await live(directory, haproxy, NEVER, async (call, store) => {
    const kept = await store.transactions();
    assert.deepEqual(
      kept.map((stored) => [stored.name, stored.writes.length]),
      [[name, 1]],
    );
    await call("commitTransaction", commit);
    assert.ok(haproxy.servers().some((line) => line.startsWith("web/d ")));
  });
});

/** Begins a transaction and stages that a resource is added. Returns its name. */
async function staged(
  call: Call,
  { resource }: Pick<MessageShape<typeof CreateRequestSchema>, "resource">,
): Promise<string> {
  const begun = await call("beginTransaction", create(BeginTransactionRequestSchema, {}));
  const transaction = begun.transaction!.name;
  await call("create", create(CreateRequestSchema, { resource, options: { transaction } }));
  return transaction;
}
