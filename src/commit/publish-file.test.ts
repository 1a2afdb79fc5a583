import assert from "node:assert/strict";
import * as nodeFs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Haproxy } from "../haproxy/haproxy.ts";
import { DomainError } from "../lib/errors.ts";
import { Document } from "../text/document.ts";
import { type PublishRequest, publishFile } from "./publish-file.ts";

const PATH = "/srv/spoe/a.conf";
const STAGED = "/srv/spoe/.new";
const USES = `frontend web
    filter spoe engine e config ${PATH} # of ours
`;

/** A commit and an HAProxy that say what they are told to, and what was done. */
async function world(
  t: TestContext,
  configuration: string,
  says: { readonly check?: string; readonly reload?: Error },
) {
  const dir = await nodeFs.mkdtemp(join(tmpdir(), "haplane-publish-"));
  t.after(() => nodeFs.rm(dir, { recursive: true }));
  const document = Document.parse([{ path: join(dir, "haproxy.cfg"), bytes: Buffer.from(configuration) }]);
  const steps: string[] = [];
  let checked = "";
  const haproxy = {
    async check({ files }: { readonly files: readonly string[] }) {
      steps.push("check");
      checked = await nodeFs.readFile(files[0]!, "utf8");
      const message = { level: "alert", file: STAGED, line: 3, message: `wrong in ${STAGED}` };
      return says.check === undefined
        ? { ok: true, messages: [], tookMs: 0 }
        : { ok: false, messages: [message], tookMs: 0 };
    },
  } as unknown as Haproxy;
  const commit = {
    document,
    async reload() {
      steps.push("reload");
      if (says.reload !== undefined) throw says.reload;
      return { reload: 7 };
    },
  };
  const publish = (validateOnly = false) =>
    publishFile({ commit, haproxy, fs: nodeFs }, {
      ...{ path: PATH, staged: STAGED, validateOnly },
      resourceAt: (line) => `line-${line}`,
      async install() {
        steps.push("install");
        return { undo: async () => void steps.push("undo"), keep: async () => void steps.push("keep") };
      },
    } satisfies PublishRequest);
  return { dir, publish, steps, checked: () => checked };
}

test("a file that nothing names is put in place, and that is all", async (t) => {
  const { publish, steps } = await world(t, `frontend web\n    filter spoe config ${PATH}.other\n`, {});
  assert.equal((await publish()).via, "none");
  assert.deepEqual(steps, ["install", "keep"]);
});

test("one that is named is checked where it lies, put in place, and HAProxy reloaded", async (t) => {
  const { dir, publish, steps, checked } = await world(t, USES, {});
  const { via, reload } = await publish();
  assert.deepEqual([via, reload], ["reload", 7]);
  assert.deepEqual(steps, ["check", "install", "reload", "keep"]);
  assert.match(checked(), new RegExp(`engine e config ${STAGED.replaceAll(".", "\\.")}$`, "m"));
  assert.deepEqual(await nodeFs.readdir(dir), []);
});

test("what is only tried is only checked", async (t) => {
  const { publish, steps } = await world(t, USES, {});
  assert.equal((await publish(true)).via, "reload");
  assert.deepEqual(steps, ["check"]);
});

test("what the check refuses is never in place, and its alerts are about the file itself", async (t) => {
  const { publish, steps } = await world(t, USES, { check: "no" });
  await assert.rejects(publish(), (error) => {
    assert.ok(error instanceof DomainError);
    assert.equal(error.reason, "CONFIGURATION_REFUSED");
    assert.deepEqual(error.alerts, [
      { file: PATH, line: 3, message: `wrong in ${PATH}`, resource: "line-3" },
    ]);
    return true;
  });
  assert.deepEqual(steps, ["check"]);
});

test("what the reload refuses is undone", async (t) => {
  const failure = new DomainError("CONFIGURATION_REFUSED", "no");
  const { publish, steps } = await world(t, USES, { reload: failure });
  await assert.rejects(publish(), failure);
  assert.deepEqual(steps, ["check", "install", "reload", "undo"]);
});
