import assert from "node:assert/strict";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { DomainError } from "../../src/lib/errors.ts";
import { BODY, commitWorld, textEdit, type World } from "../support/commit-world.ts";
import { realHaproxy } from "../support/real-factory.ts";
import { scriptedHaproxy } from "../support/scripted-factory.ts";
import type { ScriptedHaproxy } from "../support/scripted-haproxy.ts";
import { eventually } from "../support/wait.ts";

const SPOE = `[e]
spoe-agent a
    messages m
    option var-prefix e
    timeout hello 1s
    timeout idle 10s
    timeout processing 1s
    use-backend agents
spoe-message m
    args src=src
    event on-client-session
`;

const FRONTEND = `
frontend f
    bind unix@DIR/f.sock
    filter spoe engine e config DIR/spoe/e.conf
    use_backend %[src,map(DIR/spoe/hosts.map,web)]
    default_backend web

backend agents
    mode tcp
    server agent 127.0.0.1:18003
`;

/** A world whose configuration names a SPOE file and a map. */
async function worldWithFiles(t: TestContext): Promise<{ w: World; spoe: string; map: string }> {
  const w = await commitWorld(
    t,
    async (directory, configuration) => {
      await mkdir(join(directory, "spoe"));
      await writeFile(join(directory, "spoe/e.conf"), SPOE, { mode: 0o640 });
      await writeFile(join(directory, "spoe/hosts.map"), "127.0.0.1 web\n");
      return realHaproxy(directory, configuration.replaceAll("DIR", directory));
    },
    BODY + FRONTEND,
  );
  return { w, spoe: join(w.directory, "spoe/e.conf"), map: join(w.directory, "spoe/hosts.map") };
}

const request = (...files: { path: string; content: string | undefined; mode?: number }[]) => ({
  files: files.map((file) => ({
    ...file,
    content: file.content === undefined ? undefined : Buffer.from(file.content),
  })),
  author: "tester",
  message: "replaces files",
});

async function refusal(promise: Promise<unknown>): Promise<DomainError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof DomainError, `it is refused, not ${error}`);
  return error;
}

/** Nothing of ours is left beside the files, when the check of a reload that makes good for one without an end is over too. */
const requireClean = (w: World): Promise<void> =>
  eventually(async () => {
    const names = await readdir(w.directory, { recursive: true });
    assert.deepEqual(
      names.filter((name) => name.includes(".haplane-")),
      [".haproxy.cfg.haplane-lock"],
    );
  });

test("a file that the configuration names is checked, replaced and reloaded as one", async (t) => {
  const { w, spoe } = await worldWithFiles(t);
  const outcome = await w.commit.replaceFiles(request({ path: spoe, content: SPOE.replace("10s", "20s") }));
  assert.deepEqual([outcome.via, outcome.reasons, w.reloads()], ["reload", [`replaces ${spoe}`], 1]);
  assert.match(await readFile(spoe, "utf8"), /idle 20s/);
  assert.equal((await stat(spoe)).mode & 0o777, 0o640);
  const revision = await w.store.revisions.get(outcome.revision);
  assert.deepEqual([revision.author, revision.message], ["tester", "replaces files"]);
  await requireClean(w);
});

test("a file that HAProxy refuses is refused with its own name and line, and nothing changes", async (t) => {
  const { w, spoe } = await worldWithFiles(t);
  const before = await w.text();
  const error = await refusal(
    w.commit.replaceFiles(request({ path: spoe, content: SPOE.replace("timeout idle", "timeout lazy") })),
  );
  assert.equal(error.reason, "CONFIGURATION_REFUSED");
  assert.deepEqual([error.alerts[0]?.file, error.alerts[0]?.line], [spoe, 6]);
  assert.equal(await readFile(spoe, "utf8"), SPOE);
  assert.deepEqual([await w.text(), w.reloads()], [before, 0]);
  await requireClean(w);
});

test("a map that is an argument is found, and removing what is named is refused", async (t) => {
  const { w, map } = await worldWithFiles(t);
  const error = await refusal(w.commit.replaceFiles(request({ path: map, content: undefined })));
  assert.equal(error.reason, "CONFIGURATION_REFUSED");
  assert.ok(!error.message.includes(".haplane-"), error.message);
  const outcome = await w.commit.replaceFiles(request({ path: map, content: "127.0.0.2 web\n" }));
  assert.equal(outcome.via, "reload");
});

test("what nothing names is written and removed without a check or a reload", async (t) => {
  const { w } = await worldWithFiles(t);
  const path = join(w.directory, "spoe/other.conf");
  const outcome = await w.commit.replaceFiles(request({ path, content: "nonsense\n", mode: 0o644 }));
  assert.deepEqual([outcome.via, w.reloads()], ["none", 0]);
  assert.equal((await stat(path)).mode & 0o777, 0o644);
  const same = await w.commit.replaceFiles(request({ path, content: "nonsense\n" }));
  assert.equal(same.revision, outcome.revision);
  await w.commit.replaceFiles(request({ path, content: undefined }));
  await assert.rejects(stat(path), { code: "ENOENT" });
  await requireClean(w);
});

test("a file and the line that names it come together", async (t) => {
  const { w } = await worldWithFiles(t);
  const path = join(w.directory, "spoe/two.conf");
  const two = SPOE.replace("[e]", "[e2]").replace("var-prefix e", "var-prefix e2");
  const edit = textEdit((text) =>
    text.replace("    use_backend", `    filter spoe engine e2 config ${path}\n    use_backend`),
  );
  const alone = await refusal(w.commit.change({ edit }));
  assert.equal(alone.reason, "CONFIGURATION_REFUSED");
  const outcome = await w.commit.change({ edit: { ...edit, files: [{ path, content: Buffer.from(two) }] } });
  assert.equal(outcome.via, "reload");
  assert.equal(await readFile(path, "utf8"), two);
});

test("validating reads the new files and writes none; a guard sees what is there", async (t) => {
  const { w, spoe } = await worldWithFiles(t);
  const tried = await w.commit.replaceFiles({
    ...request({ path: spoe, content: SPOE.replace("10s", "9s") }),
    validateOnly: true,
  });
  assert.equal(tried.via, "reload");
  const wrong = request({ path: spoe, content: "nonsense [" });
  assert.equal(
    (await refusal(w.commit.replaceFiles({ ...wrong, validateOnly: true }))).reason,
    "CONFIGURATION_REFUSED",
  );
  const guard = (found: Uint8Array | undefined) => {
    throw new DomainError("ETAG_MISMATCH", `it holds ${found?.length} bytes`);
  };
  const guarded = { ...wrong, files: wrong.files.map((file) => ({ ...file, guard })) };
  assert.equal((await refusal(w.commit.replaceFiles(guarded))).message, `it holds ${SPOE.length} bytes`);
  assert.equal(await readFile(spoe, "utf8"), SPOE);
  await requireClean(w);
});

for (const kind of ["refused", "master_lost", "timed_out"] as const) {
  test(`a reload that ends as ${kind} gives files back: replaced, new and removed ones`, async (t) => {
    const w = await commitWorld(t, scriptedHaproxy);
    const [replaced, added, removed] = ["a", "b", "c"].map((name) => join(w.directory, `${name}.conf`)) as [
      string,
      string,
      string,
    ];
    await writeFile(replaced, "old", { mode: 0o640 });
    await writeFile(removed, "old", { mode: 0o644 });
    const haproxy = w.haproxy as ScriptedHaproxy;
    haproxy.beforeReload = async () => {
      haproxy.beforeReload = async () => undefined;
      assert.equal(await readFile(replaced, "utf8"), "new");
      assert.equal(await readFile(added, "utf8"), "new");
      await assert.rejects(stat(removed), { code: "ENOENT" });
      return { kind, messages: [], log: "no", tookMs: 1 };
    };
    const wanted = request(
      { path: replaced, content: "new" },
      { path: added, content: "new" },
      { path: removed, content: undefined },
    );
    await refusal(w.commit.replaceFiles({ ...wanted, alwaysReload: true }));
    assert.equal(await readFile(replaced, "utf8"), "old");
    await assert.rejects(stat(added), { code: "ENOENT" });
    assert.equal(await readFile(removed, "utf8"), "old");
    assert.equal((await stat(removed)).mode & 0o777, 0o644);
    assert.deepEqual(await w.store.pendingIntents(), []);
    await requireClean(w);
  });
}

test("of files that come together only those of the refused request stay as they were", async (t) => {
  const w = await commitWorld(t, scriptedHaproxy);
  const haproxy = w.haproxy as ScriptedHaproxy;
  const [good, bad] = [join(w.directory, "good.conf"), join(w.directory, "bad.conf")];
  haproxy.beforeReload = async () =>
    (await readFile(bad).catch(() => undefined)) === undefined
      ? undefined
      : { kind: "refused", messages: [], log: "bad", tookMs: 1 };
  const outcomes = await Promise.allSettled(
    [good, bad].map((path) =>
      w.commit.replaceFiles({ ...request({ path, content: "new" }), alwaysReload: true }),
    ),
  );
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["fulfilled", "rejected"],
  );
  assert.equal(await readFile(good, "utf8"), "new");
  await assert.rejects(stat(bad), { code: "ENOENT" });
});
