import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { pino } from "pino";
import type { FileWrite } from "../../src/commit/attached-files.ts";
import { Commit } from "../../src/commit/commit.ts";
import { readRevision } from "../../src/commit/history.ts";
import type { Haproxy } from "../../src/haproxy/haproxy.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { BODY, server, textEdit } from "../support/commit-world.ts";
import { CrashPoint, crashingFs, crashingHaproxy, crashingStore } from "../support/crash.ts";
import { createScriptedHaproxy } from "../support/scripted-haproxy.ts";
import { eventually } from "../support/wait.ts";

const logger = pino({ level: "silent" });

/** What is under way when the process is killed: what it does, and whether its outcome was answered before it died. */
interface Scenario {
  readonly name: string;
  readonly act: Act;
  /** The text of the file before and after, as a whole. Nothing in between may be found. */
  readonly after: (before: string) => string;
  /** What files beside it hold afterwards, of which before `old` holds "old" and `gone` "gone". Default: the same. */
  readonly files?: Readonly<Record<string, string>>;
}

const SCENARIOS: Scenario[] = [
  {
    name: "a runtime commit",
    async act(commit, _path, store) {
      const revision = store.newestRevision;
      await commit.target.changeServers("web", [{ kind: "add", ...server("c", 18003, 3) }], "sources/test");
      await eventually(() => assert.ok(store.newestRevision > revision), { timeoutMs: 3_000 });
    },
    after: (before) => before.replace("weight 5\n", "weight 5\n    server c 127.0.0.1:18003 id 3\n"),
  },
  {
    name: "a reload commit",
    act: (commit) =>
      commit.target.createBackends([{ name: "new", servers: [server("s", 18004, 1)] }], "sources/test"),
    after: (before) => `${before}\nbackend new\n    server s 127.0.0.1:18004 id 1\n`,
  },
  {
    name: "an adoption",
    async act(_commit, path, store) {
      const revision = store.newestRevision;
      await writeFile(path, BODY.replace("weight 5", "weight 6"));
      await eventually(
        async () => {
          assert.ok(store.newestRevision > revision);
          assert.deepEqual(await store.pendingIntents(), []);
        },
        { timeoutMs: 3_000 },
      );
    },
    after: (before) => before.replace("weight 5", "weight 6"),
  },
];

const TOGETHER = [
  (text: string) => text.replace("weight 5", "weight 6"),
  (text: string) => text.replace("# the first", "# mine"),
  (text: string) => text.replace("id 1\n", "id 1 weight 3\n"),
];

SCENARIOS.push(
  {
    name: "an API change by commands",
    async act(commit) {
      await commit.change({ edit: textEdit((text) => text.replace("weight 5", "weight 6")) });
    },
    after: (before) => before.replace("weight 5", "weight 6"),
  },
  {
    name: "API changes that are written together",
    async act(commit) {
      await Promise.all(TOGETHER.map((change) => commit.change({ edit: textEdit(change) })));
    },
    after: (before) => TOGETHER.reduce((text, change) => change(text), before),
  },
  {
    name: "an API change by a reload, as a rollback is",
    async act(commit) {
      await commit.change({ edit: textEdit((text) => text.replace("connect 1s", "connect 2s")) });
    },
    after: (before) => before.replace("connect 1s", "connect 2s"),
  },
  {
    name: "files that are replaced along with the configuration by a reload",
    async act(commit, path) {
      const edit = textEdit((text) => text.replace("timeout connect 1s", "timeout connect 2s"));
      await commit.change({ edit: { ...edit, files: filesBeside(path) } });
    },
    after: (before) => before.replace("timeout connect 1s", "timeout connect 2s"),
    files: { old: "new", added: "new" },
  },
  {
    name: "files that nothing names",
    async act(commit, path) {
      const edit = textEdit((text) => text.replace("# written", "# Written"));
      await commit.change({ edit: { ...edit, files: filesBeside(path) } });
    },
    after: (before) => before.replace("# written", "# Written"),
    files: { old: "new", added: "new" },
  },
);

/** One that is replaced, one that is new, and one that is removed. */
function filesBeside(path: string): readonly FileWrite[] {
  const beside = (name: string) => join(dirname(path), name);
  return [
    { path: beside("old"), content: Buffer.from("new") },
    { path: beside("added"), content: Buffer.from("new") },
    { path: beside("gone"), content: undefined },
  ];
}

/** What lies beside the configuration, by name. */
async function besides(directory: string): Promise<Record<string, string>> {
  const names = (await readdir(directory))
    .filter((name) => name !== "haproxy.cfg" && name !== "state")
    .sort();
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(directory, name), "utf8")])),
  );
}

const BESIDE = { gone: "gone", old: "old" };

type Act = (commit: Commit, path: string, store: Store) => Promise<void>;

/** One life of a haplane over a directory, killed at a point. Returns whether it came to its end before that. */
async function live(directory: string, haproxy: Haproxy, point: CrashPoint, act: Act): Promise<boolean> {
  const path = join(directory, "haproxy.cfg");
  const store = await openStore(join(directory, "state"), { clock: systemClock, logger, pid: process.pid });
  let commit: Commit | undefined;
  const whole = (async () => {
    commit = await Commit.open({
      paths: [path],
      haproxy: crashingHaproxy(haproxy, point),
      store: crashingStore(store, point),
      clock: systemClock,
      logger,
      publishEphemeral: () => {},
      fs: crashingFs(point),
    });
    await commit.start();
    await act(commit, path, store);
    await commit.stop();
    return true;
  })();
  try {
    return await Promise.race([whole, point.reached.then(() => false)]);
  } finally {
    whole.catch(() => {});
    commit?.abandon();
    await point.release();
    await store.close();
  }
}

function sorted(files: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A directory with the configuration and its first revision. Revisions name files by their path, so each life has it in the same place. */
async function settle(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory);
  const path = join(directory, "haproxy.cfg");
  await writeFile(path, BODY);
  for (const [name, content] of Object.entries(BESIDE)) await writeFile(join(directory, name), content);
  const haproxy = await createScriptedHaproxy([path]);
  await haproxy.start();
  await live(directory, haproxy, NEVER, async () => {});
}

const NEVER = new CrashPoint(Number.POSITIVE_INFINITY);

for (const scenario of SCENARIOS) {
  test(`durable, accepted: ${scenario.name}, killed before each of its operations`, async (t) => {
    const root = await mkdtemp(join(tmpdir(), "haplane-crash-"));
    t.after(() => rm(root, { recursive: true, force: true }));
    const [directory, settled] = [join(root, "live"), join(root, "settled")];
    await settle(directory);
    await cp(directory, settled, { recursive: true });
    const path = join(directory, "haproxy.cfg");
    const outcomes = [BODY, scenario.after(BODY)];

    for (let at = 1; ; at++) {
      await rm(directory, { recursive: true });
      await cp(settled, directory, { recursive: true });
      const haproxy = await createScriptedHaproxy([path]);
      await haproxy.start();

      const finished = await live(directory, haproxy, new CrashPoint(at), scenario.act);
      assert.ok(outcomes.includes(await readFile(path, "utf8")), `operation ${at}: the file is whole`);

      await live(directory, haproxy, NEVER, async (commit, _, store) => {
        // What discovery does first, and what brings a worker that ran before in step.
        await commit.target.changeServers("web", [], "sources/test");
        const text = await readFile(path, "utf8");
        assert.ok(outcomes.includes(text), `operation ${at}: the file is whole after the restart`);
        const fresh = await createScriptedHaproxy([path]);
        await fresh.start();
        assert.deepEqual(haproxy.servers(), fresh.servers(), `operation ${at}: HAProxy runs the file`);
        assert.deepEqual(await store.pendingIntents(), [], `operation ${at}: nothing is left open`);
        const recorded = await readRevision(store, store.newestRevision, path);
        assert.equal(
          recorded.toString(),
          text,
          `operation ${at}: the newest revision is what the file holds`,
        );
        if (finished) assert.equal(text, scenario.after(BODY));
      });
      const isAfter = (await readFile(path, "utf8")) === scenario.after(BODY);
      assert.deepEqual(
        await besides(directory),
        isAfter ? sorted(scenario.files ?? BESIDE) : BESIDE,
        `operation ${at}: files beside are as the configuration, and nothing lies about`,
      );
      if (finished) {
        assert.ok(at > 5, "operations were counted");
        return;
      }
    }
  });
}
