import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import pino from "pino";
import { SpoeChangeSchema } from "../../../gen/haplane/v1/spoe_pb.js";
import { createEtags } from "../../../src/config/etag.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { type SpoeApplied, SpoeTransactions } from "../../../src/service/spoe-transactions.ts";
import { SpoeFiles } from "../../../src/spoe/spoe-files.ts";
import { ManagedDirectory } from "../../../src/storage/managed-directory.ts";
import { openStore, type Store } from "../../../src/store/store.ts";

const user = { name: "ann", isAdmin: false };
const logger = pino({ level: "silent" });

/** One run of haplane, as far as SPOE files go, over what the runs before have left. */
async function run(dir: string) {
  const store: Store = await openStore(join(dir, "state"), { clock: systemClock, logger, pid: 1 });
  const directory = await ManagedDirectory.open({ path: join(dir, "spoe"), setting: "--spoe-dir" });
  const files = new SpoeFiles<SpoeApplied>({
    directory,
    memory: {
      get: (name) => store.meta(name),
      put: (name, value) => store.write([{ kind: "put-meta", name, value }]),
      delete: (name) => store.write([{ kind: "delete-meta", name }]),
    },
    publish: async ({ file, bytes, validateOnly }) => ({
      applied: { via: "none", reasons: [], commands: [], reload: undefined, warnings: [], tookMs: 0 },
      facts: validateOnly ? undefined : await directory.write(file.name, bytes),
    }),
    inUse: () => [],
    readOnly: false,
  });
  const context = () => ({ etags: createEtags(store.etagKey), version: undefined, etagsCount: true });
  const transactions = new SpoeTransactions({ files, context, store, clock: systemClock, logger });
  await transactions.start();
  return {
    ...{ files, directory },
    transactions,
    async end() {
      await transactions.stop();
      await store.close();
    },
  };
}

function scope(id: string) {
  const operation = {
    case: "create" as const,
    value: { resource: { name: `spoe/a.conf/scopes/${id}`, kind: { case: "scope" as const, value: {} } } },
  };
  return { changes: [create(SpoeChangeSchema, { operation })], single: true };
}

const upload = (text: string) => ({
  ...{ name: "a.conf", bytes: Buffer.from(text), etag: "" },
  ...{ createOnly: false, validateOnly: false },
});

test("versions and open transactions survive a restart, and an edit meanwhile is the next version", async () => {
  const dir = mkdtempSync(join(tmpdir(), "haplane-spoe-restart-"));
  try {
    const first = await run(dir);
    assert.equal((await first.files.upload(upload(""))).version, 1);
    assert.equal((await first.files.upload(upload("[one]\n"))).version, 2);
    assert.equal((await first.files.upload(upload("[one]\n"))).version, 2, "nothing differs");
    const own = await first.transactions.of("a.conf");
    const { name } = await own.begin(user.name, 60_000);
    await own.stage(name, user, scope("two"), true);
    await first.end();

    const second = await run(dir);
    assert.equal((await second.files.get("a.conf")).version, 2);
    const again = await second.transactions.of("a.conf");
    assert.deepEqual(
      again.list().map((view) => [view.name, view.writes, view.baseRevision]),
      [[name, 1, 2]],
    );
    await second.directory.write("a.conf", Buffer.from("# by hand\n[one]\n"));
    assert.equal((await second.files.get("a.conf")).version, 3);
    const outcome = await again.commit(name, user, { validateOnly: false, message: "" });
    assert.equal(outcome.version, 4);
    assert.equal(String(await second.directory.read("a.conf")), "# by hand\n[one]\n\n[two]\n");
    await second.end();

    const third = await run(dir);
    assert.equal((await third.files.get("a.conf")).version, 4);
    assert.deepEqual((await third.transactions.of("a.conf")).list(), []);
    await third.end();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
