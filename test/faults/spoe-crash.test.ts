import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pino } from "pino";
import { Commit } from "../../src/commit/commit.ts";
import type { Haproxy } from "../../src/haproxy/haproxy.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openSpoe, type SpoeTools } from "../../src/service/open-spoe.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { CrashPoint, crashingFs, crashingHaproxy, crashingStore } from "../support/crash.ts";
import { createScriptedHaproxy } from "../support/scripted-haproxy.ts";

const logger = pino({ level: "silent" });
const NEVER = new CrashPoint(Number.POSITIVE_INFINITY);
const BEFORE = "[one]\nspoe-message m\n";
const AFTER = "[one]\nspoe-message n\n";
const request = { author: "ann", message: () => "does it", validateOnly: false };

const upload = (text: string) => ({
  ...{ name: "a.conf", bytes: Buffer.from(text), etag: "", createOnly: false },
  ...request,
});

/** One life of a haplane over a directory, killed at a point. Returns whether it came to its end before that. */
async function live(
  directory: string,
  haproxy: Haproxy,
  point: CrashPoint,
  act: (tools: SpoeTools, store: Store) => Promise<void>,
): Promise<boolean> {
  const store = await openStore(join(directory, "state"), { clock: systemClock, logger, pid: process.pid });
  let commit: Commit | undefined;
  let tools: SpoeTools | undefined;
  const [dying, dead] = [crashingStore(store, point), crashingHaproxy(haproxy, point)];
  const whole = (async () => {
    commit = await Commit.open({
      ...{ paths: [join(directory, "haproxy.cfg")], haproxy: dead, store: dying, fs: crashingFs(point) },
      ...{ clock: systemClock, logger, publishEphemeral: () => {} },
    });
    await commit.start();
    tools = await openSpoe({
      ...{ commit, haproxy: dead, store: dying, clock: systemClock, logger, readOnly: false },
      ...{ path: join(directory, "spoe"), owner: { user: undefined, group: undefined } },
    });
    await act(tools, store);
    await commit.stop();
    return true;
  })();
  try {
    return await Promise.race([whole, point.reached.then(() => false)]);
  } finally {
    whole.catch(() => {});
    commit?.abandon();
    await tools?.stop();
    await point.release();
    await store.close();
  }
}

const SCENARIOS: readonly {
  readonly name: string;
  /** Whether the configuration names the file. */
  readonly used: boolean;
  act(tools: SpoeTools): Promise<unknown>;
  readonly after: string | undefined;
}[] = [
  {
    name: "a file that a filter uses is replaced",
    used: true,
    act: ({ files }) => files.upload(upload(AFTER)),
    after: AFTER,
  },
  {
    name: "a file that nothing uses is replaced",
    used: false,
    act: ({ files }) => files.upload(upload(AFTER)),
    after: AFTER,
  },
  {
    name: "a file is removed",
    used: false,
    act: ({ files }) => files.remove("a.conf", "", request),
    after: undefined,
  },
];

for (const { name, used, act, after } of SCENARIOS) {
  test(`durable: ${name}, killed before each of its operations`, async (t) => {
    const root = await mkdtemp(join(tmpdir(), "haplane-spoe-crash-"));
    t.after(() => rm(root, { recursive: true, force: true }));
    const [directory, settled] = [join(root, "live"), join(root, "settled")];
    const [path, file] = [join(directory, "haproxy.cfg"), join(directory, "spoe/a.conf")];
    const filter = used ? `frontend f\n    filter spoe engine one config ${file}\n` : "";
    await mkdir(directory);
    await writeFile(path, `defaults\n    mode http\n${filter}backend web\n    server a 127.0.0.1:18001\n`);
    const started = async () => {
      const haproxy = await createScriptedHaproxy([path]);
      await haproxy.start();
      return haproxy;
    };
    const haproxy = await started();
    await live(directory, haproxy, NEVER, async ({ files }) => void (await files.upload(upload(BEFORE))));
    await cp(directory, settled, { recursive: true });
    const held = () => readFile(file, "utf8").catch(() => undefined);

    for (let at = 1; ; at++) {
      await rm(directory, { recursive: true });
      await cp(settled, directory, { recursive: true });
      const survivor = await started();
      const finished = await live(
        directory,
        survivor,
        new CrashPoint(at),
        async (tools) => void (await act(tools)),
      );
      assert.ok([BEFORE, after].includes(await held()), `operation ${at}: the file is whole`);
      await live(directory, survivor, NEVER, async ({ files }, store) => {
        const text = await held();
        const found = await files.find("a.conf");
        const [newest] = await store.fileVersions.list({ file: "spoe/a.conf", limit: 1 });
        assert.ok([BEFORE, after].includes(text), `operation ${at}: the file is whole after the restart`);
        assert.equal(newest?.number, text === BEFORE ? 1 : 2, `operation ${at}: one version for one change`);
        assert.equal(newest?.sha256, found?.facts.sha256 ?? "", `operation ${at}: it is what the file holds`);
        assert.deepEqual(await store.pendingIntents(), [], `operation ${at}: nothing is left open`);
        assert.equal(newest?.author, "ann", `operation ${at}: it says who`);
        if (finished) assert.equal(text, after);
      });
      const left = await readdir(directory, { recursive: true });
      assert.deepEqual(
        left.filter((entry) => entry.includes(".haplane-")),
        [],
        `operation ${at}: nothing lies about`,
      );
      if (finished) {
        assert.ok(at > 5, "operations were counted");
        return;
      }
    }
  });
}
