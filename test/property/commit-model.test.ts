import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import fc from "fast-check";
import { backendSection, serversOf } from "../../src/config/server.ts";
import { DomainError } from "../../src/lib/errors.ts";
import { Document } from "../../src/text/document.ts";
import { BODY, commitWorld, server, textEdit, type World } from "../support/commit-world.ts";
import { scriptedHaproxy } from "../support/scripted-factory.ts";
import { BROKEN, type ScriptedHaproxy } from "../support/scripted-haproxy.ts";
import { eventually } from "../support/wait.ts";

/** What anybody may do to a configuration, in the words of the test. */
type Action =
  | { readonly kind: "discover"; readonly add: boolean; readonly n: number }
  | {
      readonly kind: "weigh";
      readonly n: number;
      readonly weight: number;
      readonly by: "discovery" | "api" | "hand";
    }
  | { readonly kind: "backend"; readonly n: number }
  | { readonly kind: "comment"; readonly by: "api" | "hand" }
  | { readonly kind: "broken"; readonly by: "api" | "hand" }
  | { readonly kind: "refused-reload" | "restart" | "haproxy-restarts" };

const n = fc.integer({ min: 1, max: 6 });
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("discover" as const), add: fc.boolean(), n }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("weigh" as const),
      n,
      weight: fc.integer({ min: 2, max: 200 }),
      by: fc.constantFrom("discovery" as const, "api" as const, "hand" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("backend" as const), n }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("comment" as const),
      by: fc.constantFrom("api" as const, "hand" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("broken" as const),
      by: fc.constantFrom("api" as const, "hand" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("refused-reload" as const, "restart" as const, "haproxy-restarts" as const),
    }),
  },
);

/** The reference: which servers the backend `web` has with which weight, which further backends there are, and which comments people left. */
class Model {
  readonly servers = new Map([
    ["a", 1],
    ["b", 5],
  ]);
  readonly backends = new Set<string>();
  readonly comments = new Set<string>();

  expectFile(text: string): void {
    const document = Document.parse([{ path: "haproxy.cfg", bytes: Buffer.from(text) }]);
    const found = serversOf(backendSection(document, "web")!).map(({ name, weight = 1 }) => [name, weight]);
    assert.deepEqual(new Map(found as [string, number][]), this.servers, "servers of the file");
    const backends = document
      .list("backend")
      .map(({ name }) => name)
      .filter((name) => name !== "web");
    assert.deepEqual(new Set(backends), this.backends, "backends of the file");
    for (const comment of this.comments) assert.ok(text.includes(comment), `the comment ${comment} is kept`);
  }

  expectWorker(lines: readonly string[]): void {
    const found = lines.filter((line) => line.startsWith("web/")).map((line) => line.split(/[ /]/));
    assert.deepEqual(
      new Map(found.map(([, name, , weight]) => [name!, Number(weight)])),
      this.servers,
      "servers of the worker",
    );
  }
}

/** Does an action, and to the model what it has to come to. Answers the world that goes on, which a restart makes anew. */
async function perform(
  w: World,
  haproxy: ScriptedHaproxy,
  model: Model,
  action: Action,
  step: number,
): Promise<World> {
  switch (action.kind) {
    case "discover": {
      const name = `s${action.n}`;
      const present = model.servers.has(name);
      const change = action.add
        ? ({ kind: "add", ...server(name, 18_100 + action.n, 100 + action.n) } as const)
        : ({ kind: "remove", name } as const);
      const [result] = await w.commit.target.changeServers("web", [change], "sources/test");
      assert.equal(result?.ok, action.add !== present);
      if (result?.ok && action.add) model.servers.set(name, 1);
      if (result?.ok && !action.add) model.servers.delete(name);
      return w;
    }
    case "weigh": {
      const name = [...model.servers.keys()][action.n % model.servers.size]!;
      const weigh = (text: string) =>
        text.replace(
          new RegExp(`(server ${name} [^\\n]*?)( weight \\d+)?(?=\\n)`),
          `$1 weight ${action.weight}`,
        );
      if (action.by === "discovery") {
        assert.deepEqual(
          await w.commit.target.changeServers(
            "web",
            [{ kind: "set-weight", name, weight: action.weight }],
            "sources/test",
          ),
          [{ ok: true }],
        );
      } else if (action.by === "api") {
        const { via } = await w.commit.change({ edit: textEdit(weigh) });
        assert.notEqual(via, "reload");
      } else {
        await settled(w, haproxy, model);
        await byHand(w, weigh);
      }
      model.servers.set(name, action.weight);
      return w;
    }
    case "backend": {
      const name = `extra${action.n}`;
      await w.commit.target.createBackends([{ name, servers: [] }], "sources/test");
      model.backends.add(name);
      return w;
    }
    case "comment": {
      const comment = `# note ${step}`;
      const add = (text: string) => `${comment}\n${text}`;
      if (action.by === "api") await w.commit.change({ edit: textEdit(add) });
      else {
        await settled(w, haproxy, model);
        await byHand(w, add);
      }
      model.comments.add(comment);
      return w;
    }
    case "broken": {
      const spoil = (text: string) => `${text}\nbackend spoilt\n    ${BROKEN}\n`;
      if (action.by === "api") {
        await assert.rejects(w.commit.change({ edit: textEdit(spoil) }), { reason: "CONFIGURATION_REFUSED" });
        return w;
      }
      await settled(w, haproxy, model);
      const good = await w.text();
      await writeFile(w.path, spoil(good));
      await eventually(() => assert.equal(w.commit.status.held?.reason, "FILE_HELD"));
      await assert.rejects(w.commit.change({ edit: textEdit((text) => `${text}# no\n`) }), {
        reason: "FILE_HELD",
      });
      await writeFile(w.path, good);
      await eventually(() => assert.equal(w.commit.status.held, undefined));
      return w;
    }
    case "refused-reload": {
      haproxy.beforeReload = async () => {
        haproxy.beforeReload = async () => undefined;
        return { kind: "refused", messages: [], log: "not now", tookMs: 1 };
      };
      await assert.rejects(
        w.commit.target.createBackends([{ name: "refused", servers: [] }], "sources/test"),
        DomainError,
      );
      return w;
    }
    case "haproxy-restarts":
      await settled(w, haproxy, model);
      await haproxy.restart();
      return w;
    case "restart":
      return w.restart();
  }
}

/** Edits the file by hand, and waits until that edit, and no other change, is in the history and runs. */
async function byHand(w: World, change: (text: string) => string): Promise<void> {
  const before = await w.text();
  const after = change(before);
  if (after === before) return;
  const adopted = await adoptions(w);
  await writeFile(w.path, after);
  await eventually(async () => {
    assert.ok((await adoptions(w)) > adopted, "the edit is adopted");
    assert.deepEqual(await w.store.pendingIntents(), [], "and runs");
  });
}

async function adoptions(w: World): Promise<number> {
  return (await w.store.revisions.list({ limit: 1_000, lanes: ["external"] })).length;
}

async function settled(w: World, haproxy: ScriptedHaproxy, model: Model): Promise<void> {
  await eventually(async () => {
    model.expectFile(await w.text());
    model.expectWorker(haproxy.servers());
    assert.equal(w.commit.status.stage, "idle");
  });
}

test("whatever people, discovery, HAProxy and restarts do, file and worker are what the reference says", async (t) => {
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 3, maxLength: 12 }), async (actions) => {
      round += 1;
      await t.test(`round ${round}`, async (sub) => {
        let w = await commitWorld(sub, scriptedHaproxy, BODY);
        const haproxy = w.haproxy as ScriptedHaproxy;
        const model = new Model();
        sub.diagnostic(JSON.stringify(actions));
        for (const [step, one] of actions.entries()) w = await perform(w, haproxy, model, one, step);
        await w.commit.target.changeServers("web", [], "sources/test");
        await settled(w, haproxy, model);
        await eventually(async () => assert.deepEqual(await w.store.pendingIntents(), []));
      });
    }),
    { numRuns: 12, endOnFailure: true },
  );
});
