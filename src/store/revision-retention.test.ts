import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { Database } from "./database.ts";
import { applyEdits, type Edit } from "./delta.ts";
import { beginIntent, finishIntent, pendingIntents } from "./intent-table.ts";
import type { FileChange, RevisionLane } from "./operations.ts";
import { addSnapshot, dropRevisions, pruneRevisions, type RevisionRetention } from "./revision-retention.ts";
import { appendRevision, contentAt, listRevisions, newestRevision, revisionFiles } from "./revision-table.ts";
import { migrate } from "./schema.ts";

const directory = mkdtempSync(join(tmpdir(), "haplane-retention-"));
after(() => rmSync(directory, { recursive: true }));

let count = 0;
function withDatabase(action: (database: Database) => void): void {
  count += 1;
  const database = Database.openWritable(join(directory, `${count}.db`));
  try {
    // How durable it is does not matter here.
    database.execute("PRAGMA synchronous = OFF");
    migrate(database);
    action(database);
  } finally {
    database.close();
  }
}

const PATHS = ["/etc/a.cfg", "/etc/b.cfg"];

/** What happens to one file in one revision, made to fit by `changeOf`. */
type Draft =
  | { readonly kind: "same" | "absent" }
  | { readonly kind: "content"; readonly bytes: Uint8Array }
  | { readonly kind: "edits"; readonly from: number; readonly to: number; readonly bytes: Uint8Array };

const bytes = fc.uint8Array({ maxLength: 12 });
const draft: fc.Arbitrary<Draft> = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ kind: "same" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "absent" as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("content" as const), bytes }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("edits" as const), from: fc.nat(100), to: fc.nat(100), bytes }),
  },
);

function changeOf(path: string, wish: Draft, before: Uint8Array | undefined): FileChange | undefined {
  switch (wish.kind) {
    case "same":
      return undefined;
    case "absent":
      return before === undefined ? undefined : { kind: "absent", path };
    case "content":
      return { kind: "content", path, content: wish.bytes };
    case "edits": {
      if (before === undefined) return { kind: "content", path, content: wish.bytes };
      const [from, to] = [wish.from, wish.to].map((at) => at % (before.length + 1)).sort((a, b) => a - b);
      const edits: Edit[] = [{ offset: from ?? 0, length: (to ?? 0) - (from ?? 0), bytes: wish.bytes }];
      return { kind: "edits", path, edits };
    }
  }
}

type Contents = ReadonlyMap<string, Uint8Array>;

/** Appends revisions and returns what each is to hold. */
function fill(
  database: Database,
  drafts: readonly (readonly Draft[])[],
  lane: (n: number) => RevisionLane,
): Contents[] {
  let contents: Contents = new Map();
  return drafts.map((wishes, i) => {
    const files = PATHS.flatMap(
      (path, n) => changeOf(path, wishes[n] ?? { kind: "same" }, contents.get(path)) ?? [],
    );
    const next = new Map(contents);
    for (const change of files) {
      if (change.kind === "absent") next.delete(change.path);
      else if (change.kind === "content") next.set(change.path, change.content);
      else next.set(change.path, applyEdits(next.get(change.path) ?? new Uint8Array(0), change.edits));
    }
    const number = i + 1;
    appendRevision(database, {
      number,
      parent: i,
      time: number * 1_000,
      author: "someone",
      message: "",
      lane: lane(number),
      resources: [],
      files,
    });
    contents = next;
    return contents;
  });
}

function assertHolds(database: Database, number: number, expected: Contents): void {
  for (const path of PATHS) {
    const content = contentAt(database, number, path);
    assert.deepEqual(
      content && Buffer.from(content),
      expected.get(path) && Buffer.from(expected.get(path) ?? []),
    );
  }
  assert.deepEqual(
    revisionFiles(database, number).map(({ path, size }) => [path, size]),
    [...expected].map(([path, content]) => [path, content.length]).sort(),
  );
}

const numbers = (database: Database) =>
  listRevisions(database, { limit: 10_000 })
    .map((revision) => revision.number)
    .reverse();

test("whatever is dropped, in whatever order, every kept revision holds what it held", () => {
  const scenario = fc.record({
    drafts: fc.array(fc.tuple(draft, draft), { minLength: 2, maxLength: 20 }),
    drops: fc.array(fc.array(fc.nat(19), { maxLength: 6 }), { maxLength: 4 }),
  });
  fc.assert(
    fc.property(scenario, ({ drafts, drops }) =>
      withDatabase((database) => {
        const contents = fill(database, drafts, () => "runtime");
        let kept = contents.map((_, i) => i + 1);
        for (const drop of drops) {
          const gone = kept.slice(0, -1).filter((number) => drop.includes(number % 20));
          dropRevisions(database, gone);
          kept = kept.filter((number) => !gone.includes(number));
          assert.deepEqual(numbers(database), kept);
          for (const number of kept) assertHolds(database, number, contents[number - 1] ?? new Map());
        }
        // Nothing is left of what is gone.
        const stored = database.all<{ revision: number }>("SELECT DISTINCT revision FROM revision_files");
        for (const { revision } of stored) assert.ok(kept.includes(revision));
      }),
    ),
    { numRuns: 150 },
  );
});

const KEEP_ALL: RevisionRetention = {
  revisions: 1e6,
  discoveryRevisions: 1e6,
  revisionAgeMs: 1e12,
  discoveryRevisionAgeMs: 1e12,
  revisionBytes: 1e12,
};

function prune(database: Database, now: number, retention: Partial<RevisionRetention>): void {
  while (pruneRevisions(database, now, { ...KEEP_ALL, ...retention }));
}

/** Revisions of one file, every third of a person and the others of discovery. */
function history(database: Database, length: number): Contents[] {
  const drafts = Array.from({ length }, (_, i): Draft[] => [
    { kind: "edits", from: 0, to: 0, bytes: Buffer.from(`${i}\n`) },
  ]);
  return fill(database, drafts, (number) => (number % 3 === 0 ? "reload" : "discovery"));
}

test("discovery's revisions and people's are counted apart, the newest ones stay, and a tenth more is let be", () => {
  withDatabase((database) => {
    const contents = history(database, 90);
    prune(database, 0, { revisions: 28, discoveryRevisions: 10 });
    const kept = numbers(database);
    assert.equal(kept.filter((number) => number % 3 === 0).length, 30);
    assert.deepEqual(
      kept.filter((number) => number % 3 !== 0),
      [76, 77, 79, 80, 82, 83, 85, 86, 88, 89],
    );
    for (const number of kept) assertHolds(database, number, contents[number - 1] ?? new Map());
    prune(database, 0, { revisions: 20 });
    assert.equal(
      numbers(database).filter((number) => number % 3 === 0).length,
      20 + 1 /* the newest, not counted */,
    );
  });
});

test("revisions go by age, each kind by its own, and the newest never", () => {
  withDatabase((database) => {
    history(database, 30);
    prune(database, 31_000, { revisionAgeMs: 10_500, discoveryRevisionAgeMs: 3_500 });
    assert.deepEqual(numbers(database), [21, 24, 27, 28, 29, 30]);
    prune(database, 1e9, { revisionAgeMs: 1, discoveryRevisionAgeMs: 1 });
    assert.deepEqual(numbers(database), [30]);
  });
});

test("when they take too many bytes the oldest go, discovery's first", () => {
  withDatabase((database) => {
    const big = Array.from({ length: 30 }, (): Draft[] => [
      { kind: "content", bytes: new Uint8Array(1_000) },
    ]);
    fill(database, big, (number) => (number % 3 === 0 ? "reload" : "discovery"));
    prune(database, 0, { revisionBytes: 15_500 });
    const kept = numbers(database);
    assert.deepEqual(
      kept.filter((number) => number % 3 === 0),
      [3, 6, 9, 12, 15, 18, 21, 24, 27, 30],
    );
    assert.ok(kept.length <= 15 && kept.length >= 13, `${kept.length} are kept`);
    prune(database, 0, { revisionBytes: 500 });
    assert.deepEqual(numbers(database), [30]);
  });
});

test("what a pending intent is told by stays until the intent is finished", () => {
  withDatabase((database) => {
    const contents = history(database, 10);
    const former = (contents[3]?.get(PATHS[0] ?? "") ?? new Uint8Array(0)).subarray(2);
    beginIntent(database, {
      id: "write-1",
      time: 1,
      base: 4,
      former: [
        { kind: "edits", path: PATHS[0] ?? "", edits: [{ offset: 0, length: 2, bytes: new Uint8Array(0) }] },
        { kind: "absent", path: "/etc/new.cfg" },
      ],
      data: Buffer.from("data"),
    });
    prune(database, 1e9, { revisionAgeMs: 1, discoveryRevisionAgeMs: 1 });
    assert.deepEqual(numbers(database), [4, 10]);
    const [intent, ...others] = pendingIntents(database);
    assert.equal(others.length, 0);
    assert.deepEqual(Buffer.from(intent?.former.get(PATHS[0] ?? "") ?? []), Buffer.from(former));
    assert.equal(intent?.former.has("/etc/new.cfg"), true);
    assert.equal(intent?.former.get("/etc/new.cfg"), undefined);
    finishIntent(database, "write-1");
    prune(database, 1e9, { revisionAgeMs: 1, discoveryRevisionAgeMs: 1 });
    assert.deepEqual(numbers(database), [10]);
    assert.deepEqual(pendingIntents(database), []);
  });
});

test("a long row of edits gets a snapshot, after which reading begins there", () => {
  withDatabase((database) => {
    const contents = history(database, 258);
    assert.equal(addSnapshot(database), true);
    assert.equal(addSnapshot(database), false);
    const snapshots = database.all<{ revision: number }>(
      "SELECT revision FROM revision_files WHERE kind = 'content' ORDER BY revision",
    );
    assert.deepEqual(
      snapshots.map((row) => row.revision),
      [1, 258],
    );
    for (const number of [1, 128, 257, 258]) assertHolds(database, number, contents[number - 1] ?? new Map());
    appendRevision(database, {
      number: 259,
      parent: 258,
      time: 1,
      author: "a",
      message: "",
      lane: "reload",
      resources: [],
      files: [
        { kind: "edits", path: PATHS[0] ?? "", edits: [{ offset: 0, length: 1, bytes: Buffer.from("X") }] },
      ],
    });
    assert.equal(contentAt(database, 259, PATHS[0] ?? "")?.[0], "X".charCodeAt(0));
    assert.equal(newestRevision(database), 259);
  });
});
