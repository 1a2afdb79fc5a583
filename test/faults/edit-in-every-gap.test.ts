import assert from "node:assert/strict";
import * as nodeFs from "node:fs/promises";
import { type TestContext, test } from "node:test";
import { readRevision } from "../../src/commit/history.ts";
import { DomainError } from "../../src/lib/errors.ts";
import { BODY, commitWorld, server, textEdit, type World } from "../support/commit-world.ts";
import { crashingFs, type OperationPoint } from "../support/crash.ts";
import { scriptedHaproxy } from "../support/scripted-factory.ts";
import { createScriptedHaproxy, type ScriptedHaproxy } from "../support/scripted-haproxy.ts";
import { eventually } from "../support/wait.ts";

type How = "in place" | "by rename";

/** Has somebody do something before one operation. */
class Gap implements OperationPoint {
  #left = Number.POSITIVE_INFINITY;
  #act: () => Promise<void> = async () => {};
  readonly #how: How;
  /** A former file is linked, and not replaced yet. */
  #isReplacing = false;

  constructor(how: How) {
    this.#how = how;
  }

  /** Before the operation of this number, counted from 1. */
  arm(at: number, act: () => Promise<void>): void {
    this.#left = at;
    this.#act = act;
  }

  /** Whether it happened; it does not any more. */
  disarm(): boolean {
    const happened = this.#left <= 0;
    this.#left = Number.POSITIVE_INFINITY;
    return happened;
  }

  opened(): void {}

  wrap<A extends unknown[], R>(operation: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
    return async (...args) => {
      this.#left -= 1;
      // From the link to the former file to our rename an edit by rename cannot be noticed: docs/decisions/0001-commit.md, "Not done".
      const [from, to] = args.map(String);
      const replaces = from?.includes(".haplane-new-") === true && to !== undefined;
      if (this.#left === 0 && this.#how === "by rename" && (replaces || this.#isReplacing)) this.#left = 1;
      if (to?.includes(".haplane-old-")) this.#isReplacing = true;
      if (this.#left === 0) await this.#act();
      try {
        return await operation(...args);
      } finally {
        if (replaces) this.#isReplacing = false;
      }
    };
  }
}

/** What is done while somebody edits the file. Resolves with a pattern that the file has to match then, unless it rejects. */
type Act = (w: World, round: number) => Promise<RegExp>;

const ACTS: Readonly<Record<string, Act>> = {
  "a commit by commands": async (w, round) => {
    await w.commit.change({ edit: textEdit((text) => text.replace(/weight \d+/, `weight ${round}`)) });
    return new RegExp(`weight ${round}\n`);
  },
  "a commit by a reload": async (w, round) => {
    const edit = textEdit((text) => text.replace(/timeout connect .*/, `timeout connect ${round}s`));
    await w.commit.change({ edit });
    return new RegExp(`timeout connect ${round}s`);
  },
  "discovery's change": async (w, round) => {
    const revision = w.commit.revision;
    const name = `d${round}`;
    const [result] = await w.commit.target.changeServers(
      "web",
      [{ kind: "add", ...server(name, 19_000 + round, 100 + round) }],
      "sources/test",
    );
    assert.deepEqual(result, { ok: true });
    await eventually(() => assert.ok(w.commit.revision > revision));
    return new RegExp(`server ${name} `);
  },
  "a rollback": async (w, round) => {
    const former = (await w.text()).replace(/timeout server .*/, `timeout server ${round}s`);
    await w.commit.change({ edit: textEdit(() => former), baseRevision: w.commit.revision });
    return new RegExp(`timeout server ${round}s`);
  },
  "an adoption": async (w, round) => {
    await edit("in place", w.path, /timeout client .*/, `timeout client ${round}s`);
    await w.commit.reload();
    return new RegExp(`timeout client ${round}s`);
  },
};

/** An editor changes one line of what the file holds. */
async function edit(how: How, path: string, line: RegExp, by: string): Promise<void> {
  const text = (await nodeFs.readFile(path, "utf8")).replace(line, by);
  if (how === "in place") return nodeFs.writeFile(path, text);
  await nodeFs.writeFile(`${path}.swp`, text);
  await nodeFs.rename(`${path}.swp`, path);
}

async function gappyWorld(t: TestContext, gap: Gap): Promise<{ w: World; haproxy: ScriptedHaproxy }> {
  const w = await commitWorld(t, scriptedHaproxy, BODY, {}, crashingFs(gap));
  const haproxy = w.haproxy as ScriptedHaproxy;
  w.store.write = gap.wrap(w.store.write.bind(w.store));
  haproxy.check = gap.wrap(haproxy.check.bind(haproxy));
  haproxy.reload = gap.wrap(haproxy.reload.bind(haproxy));
  const { runtime } = haproxy;
  runtime.applyServers = gap.wrap(runtime.applyServers.bind(runtime));
  return { w, haproxy };
}

for (const how of ["in place", "by rename"] as const) {
  for (const [name, act] of Object.entries(ACTS)) {
    test(`no edit ${how} and no accepted commit is lost: an edit before each operation of ${name}`, async (t) => {
      const gap = new Gap(how);
      const { w, haproxy } = await gappyWorld(t, gap);
      for (let at = 1; ; at++) {
        const round = at + 10;
        const mine = `# written by hand ${round}`;
        gap.arm(at, () => edit(how, w.path, /# written by hand.*/, mine));
        const wanted = await act(w, round).catch((error: unknown) => {
          assert.ok(error instanceof DomainError, `operation ${at}: ${error}`);
          assert.ok(
            ["ETAG_MISMATCH", "FILE_HELD"].includes(error.reason),
            `operation ${at}: ${error.reason}`,
          );
          return undefined;
        });
        const happened = gap.disarm();
        await eventually(
          async () => {
            const text = await w.text();
            if (happened)
              assert.ok(text.includes(`${mine}\n`), `operation ${at}: the edit is there:\n${text}`);
            if (wanted !== undefined) assert.match(text, wanted, `operation ${at}: the commit is there`);
            const recorded = await readRevision(w.store, w.store.newestRevision, w.path);
            assert.equal(recorded.toString(), text, `operation ${at}: the newest revision is the file`);
            const fresh = await createScriptedHaproxy([w.path]);
            await fresh.start();
            assert.deepEqual(haproxy.servers(), fresh.servers(), `operation ${at}: HAProxy runs it`);
          },
          { timeoutMs: 10_000 },
        );
        if (!happened) {
          assert.ok(at > 5, "operations were counted");
          return;
        }
      }
    });
  }
}
