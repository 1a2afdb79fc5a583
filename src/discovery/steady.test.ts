import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Steady } from "./steady.ts";

const HOLD_MS = 30_000;
const NOBODY: ReadonlySet<string> = new Set();

function set(names: string): ReadonlySet<string> {
  return new Set(names.split(" ").filter((name) => name !== ""));
}

/** A registry that listed these servers a while ago. */
function settled(services: Readonly<Record<string, string>>): Steady {
  const steady = new Steady({ holdMs: HOLD_MS, percent: 50 });
  for (const [service, names] of Object.entries(services)) {
    steady.know(service, NOBODY);
    steady.observe(service, set(names), NOBODY, 0);
  }
  return steady;
}

function kept(steady: Steady, service = "web"): string {
  return [...steady.kept(service)].sort().join(" ");
}

describe("one answer about one service", () => {
  const cases = [
    { name: "an ordinary loss", before: "a b c", after: "a b", keeps: "" },
    { name: "exactly half", before: "a b", after: "a", keeps: "" },
    { name: "half of many", before: "a b c d", after: "c d", keeps: "" },
    { name: "the last server", before: "a", after: "", keeps: "a" },
    { name: "all servers", before: "a b c", after: "", keeps: "a b c" },
    { name: "more than half", before: "a b c", after: "a", keeps: "b c" },
    { name: "all of them replaced by others", before: "a b c", after: "d e f", keeps: "" },
    { name: "most of them replaced by fewer", before: "a b c d e", after: "f g", keeps: "a b c d e" },
    { name: "a gain", before: "a", after: "a b", keeps: "" },
  ];
  for (const { name, before, after, keeps } of cases) {
    test(`${name}: ${before} → ${after || "nothing"} keeps ${keeps || "nothing"}`, () => {
      const steady = settled({ web: before, other: "x", third: "y" });
      steady.observe("web", set(after), NOBODY, 0);
      assert.equal(kept(steady), keeps);
      assert.equal(steady.doubtReason, "", "the registry as such is not in doubt");
    });
  }
});

test("a held loss is due after the hold time, and gone once it is confirmed", () => {
  const steady = settled({ web: "a b", other: "x", third: "y" });
  steady.observe("web", NOBODY, NOBODY, 1_000);
  assert.deepEqual(steady.nextDue, { service: "web", dueMs: 1_000 + HOLD_MS });
  assert.match(steady.reason as string, /2 of "web"/);
  steady.confirm("web", HOLD_MS);
  assert.equal(kept(steady), "a b", "too early");
  steady.confirm("web", 1_000 + HOLD_MS);
  assert.equal(kept(steady), "");
  assert.equal(steady.reason, undefined);
});

test("a held server that is listed again is like any other", () => {
  const steady = settled({ web: "a b c", other: "x", third: "y" });
  steady.observe("web", NOBODY, NOBODY, 0);
  steady.observe("web", set("a b c"), NOBODY, 10);
  assert.equal(kept(steady), "");
  steady.observe("web", set("a b"), NOBODY, 20);
  assert.equal(kept(steady), "");
});

test("a loss that cannot be confirmed is due later", () => {
  const steady = settled({ web: "a", other: "x", third: "y" });
  steady.observe("web", NOBODY, NOBODY, 0);
  steady.postpone("web", HOLD_MS, HOLD_MS + 500);
  assert.deepEqual(steady.nextDue, { service: "web", dueMs: HOLD_MS + 500 });
  assert.equal(kept(steady), "a");
});

test("ordinary losses are believed while others are held", () => {
  const steady = settled({ web: "a b c d e", other: "x", third: "y" });
  steady.observe("web", set("a b"), NOBODY, 0);
  assert.equal(kept(steady), "c d e");
  steady.observe("web", set("a"), NOBODY, 10);
  assert.equal(kept(steady), "c d e");
});

describe("a registry in doubt", () => {
  test("whatever it does not list stays, and no time ends that", () => {
    const steady = settled({ web: "a b c d" });
    steady.doubt("the index went back from 9 to 4");
    steady.observe("web", set("a b c"), NOBODY, 0);
    assert.equal(kept(steady), "d");
    assert.equal(steady.nextDue, undefined);
    steady.confirm("web", 10 * HOLD_MS);
    assert.equal(kept(steady), "d");
    assert.match(steady.reason as string, /the index went back from 9 to 4; 1 servers stay/);
  });

  test("what it has listed since is as good as any other, and when all is listed the doubt is over", () => {
    const steady = settled({ web: "a b c d" });
    steady.doubt("lost its mind");
    steady.observe("web", set("a b c"), NOBODY, 0);
    steady.observe("web", set("a b"), NOBODY, 0);
    assert.equal(kept(steady), "d", "c was listed since, and is gone in the ordinary way");
    steady.observe("web", set("a b d"), NOBODY, 0);
    assert.equal(kept(steady), "");
    assert.equal(steady.doubtReason, "");
  });

  test("a server whose address another has taken over is not missed", () => {
    const steady = settled({ web: "a b" });
    steady.doubt("lost its mind");
    steady.observe("web", set("c"), set("a"), 0);
    assert.equal(kept(steady), "b");
    steady.observe("web", set("c d"), set("b"), 0);
    assert.equal(steady.doubtReason, "");
  });

  test("held losses are kept too", () => {
    const steady = settled({ web: "a", other: "x", third: "y" });
    steady.observe("web", NOBODY, NOBODY, 0);
    steady.doubt("lost its mind");
    assert.equal(steady.nextDue, undefined);
    assert.equal(kept(steady), "a");
  });

  test("for one service only, the others are as before", () => {
    const steady = settled({ web: "a b c", other: "x y z" });
    steady.doubt("lost its mind", "web");
    steady.observe("web", set("a b"), NOBODY, 0);
    steady.observe("other", set("x y"), NOBODY, 0);
    assert.equal(kept(steady, "web"), "c");
    assert.equal(kept(steady, "other"), "");
  });
});

describe("services that are gone together", () => {
  test("half of them are held one by one", () => {
    const steady = settled({ a: "1", b: "2", c: "3", d: "4" });
    steady.observe("a", NOBODY, NOBODY, 0);
    steady.observe("b", NOBODY, NOBODY, 0);
    assert.equal(steady.doubtReason, "");
  });

  test("more than half put the registry in doubt", () => {
    const steady = settled({ a: "1", b: "2", c: "3" });
    steady.observe("a", NOBODY, NOBODY, 0);
    steady.observe("b", NOBODY, NOBODY, 20);
    assert.match(steady.doubtReason, /more than 50 % of all services/);
    assert.equal(steady.nextDue, undefined, "nothing is going to be confirmed");
    assert.equal(kept(steady, "a"), "1");
    assert.equal(kept(steady, "b"), "2");
  });

  test("that were confirmed before do not count", () => {
    const steady = settled({ a: "1", b: "2", c: "3" });
    steady.observe("a", NOBODY, NOBODY, 0);
    steady.confirm("a", HOLD_MS);
    steady.observe("b", NOBODY, NOBODY, HOLD_MS);
    assert.equal(steady.doubtReason, "");
    assert.equal(kept(steady, "b"), "2");
  });

  test("a single one is held", () => {
    const steady = settled({ web: "a b c" });
    steady.observe("web", NOBODY, NOBODY, 0);
    assert.equal(steady.doubtReason, "");
    assert.equal(kept(steady), "a b c");
  });

  test("a single one that is gone when the registry comes back puts it in doubt", () => {
    const steady = settled({ web: "a b c" });
    steady.shake();
    steady.observe("web", NOBODY, NOBODY, 0);
    assert.match(steady.doubtReason, /more than 50 % of all services/);
    assert.equal(steady.nextDue, undefined);
  });

  test("so does one that is gone since before a restart", () => {
    const steady = new Steady({ holdMs: HOLD_MS, percent: 50 });
    steady.know("web", set("a b"));
    steady.observe("web", NOBODY, NOBODY, 0);
    assert.notEqual(steady.doubtReason, "");
  });
});

const services = ["s", "t", "u"];
const service = fc.constantFrom(...services);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("observe" as const),
      service,
      names: fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f")),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("doubt" as const), service: fc.option(service) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("shake" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("confirm" as const), service }) },
);

test("steady: without a confirmation no service loses its last server, or most of them at once; in doubt it loses none that was not listed since", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const steady = settled(Object.fromEntries(services.map((name) => [name, "a b c"])));
      const present = new Map<string, ReadonlySet<string>>(services.map((name) => [name, set("a b c")]));
      const doubted = new Map<string, Set<string>>(services.map((name) => [name, new Set()]));
      const live = (name: string) => new Set([...(present.get(name) ?? []), ...steady.kept(name)]);
      let now = 0;
      for (const taken of steps) {
        now += 1_000;
        switch (taken.kind) {
          case "observe": {
            const before = live(taken.service);
            const listedBefore = present.get(taken.service) as ReadonlySet<string>;
            const names = new Set(taken.names);
            steady.observe(taken.service, names, NOBODY, now);
            present.set(taken.service, names);
            for (const name of names) doubted.get(taken.service)?.delete(name);
            const after = live(taken.service);
            assert.ok(before.size === 0 || after.size > 0, "not emptied");
            const gone = [...listedBefore].filter((name) => !after.has(name));
            assert.ok(gone.length * 2 <= listedBefore.size || names.size * 2 >= listedBefore.size);
            break;
          }
          case "doubt":
            for (const name of taken.service === null ? services : [taken.service]) {
              doubted.set(name, live(name));
            }
            steady.doubt("doubt", taken.service ?? undefined);
            break;
          case "shake":
            steady.shake();
            break;
          case "confirm":
            now += HOLD_MS;
            steady.confirm(taken.service, now);
            break;
        }
        for (const name of services) {
          for (const server of steady.kept(name)) assert.ok(!present.get(name)?.has(server));
          for (const server of doubted.get(name) ?? []) assert.ok(live(name).has(server), "in doubt");
        }
      }
    }),
    { numRuns: 500 },
  );
});
