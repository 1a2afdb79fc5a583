import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { Database } from "./database.ts";
import {
  appendFileVersion,
  type FileVersionRetention,
  listFileVersions,
  newestFileVersions,
  pruneFileVersions,
  readFileVersion,
} from "./file-version-table.ts";
import { prepareDatabase } from "./prepare-database.ts";

let directory: string;
let database: Database;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "haplane-versions-"));
  ({ database } = prepareDatabase(join(directory, "state.db"), 0));
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true });
});

const KEEP: FileVersionRetention = { fileVersions: 100, fileVersionAgeMs: 1e9, fileVersionBytes: 1e9 };

function append(file: string, number: number, content: string | undefined): void {
  appendFileVersion(database, {
    ...{ file, number, time: number * 1_000, author: "ann", message: "m", revision: 7, resources: ["r"] },
    sha256: content === undefined ? "" : "of it",
    content: content === undefined ? undefined : Buffer.from(content),
  });
}

const numbers = (file: string) =>
  listFileVersions(database, { file, limit: 100 }).map(({ number }) => number);

test("versions are listed newest first, read, and of each file the newest is known", () => {
  for (const number of [1, 2, 3]) append("spoe/a", number, `a${number}`);
  append("spoe/b", 1, "b");
  append("spoe/b", 2, undefined);
  assert.deepEqual(numbers("spoe/a"), [3, 2, 1]);
  assert.deepEqual(
    listFileVersions(database, { file: "spoe/a", before: 3, limit: 1 }).map(({ number }) => number),
    [2],
  );
  const { version, content } = readFileVersion(database, "spoe/a", 2);
  assert.equal(Buffer.from(content!).toString(), "a2");
  assert.deepEqual(version, {
    ...{ file: "spoe/a", number: 2, time: 2_000, author: "ann", message: "m", revision: 7 },
    ...{ resources: ["r"], sha256: "of it", size: 2 },
  });
  assert.equal(readFileVersion(database, "spoe/b", 2).content, undefined);
  assert.deepEqual(
    newestFileVersions(database).map(({ file, number }) => [file, number]),
    [
      ["spoe/a", 3],
      ["spoe/b", 2],
    ],
  );
  assert.throws(() => readFileVersion(database, "spoe/a", 9), { reason: "RESOURCE_NOT_FOUND" });
});

test("a number that is taken becomes the next one", () => {
  append("spoe/a", 1, "one");
  append("spoe/a", 1, "two");
  assert.deepEqual(numbers("spoe/a"), [2, 1]);
});

test("versions go by number, age and bytes, the oldest first, and the newest of a file never", () => {
  const cases: readonly [Partial<FileVersionRetention>, a: number[], b: number[]][] = [
    [{}, [4, 3, 2, 1], [2, 1]],
    [{ fileVersions: 2 }, [4, 3], [2, 1]],
    [{ fileVersionAgeMs: 2_500 }, [4, 3], [2]],
    [{ fileVersionBytes: 25 }, [4, 3], [2]],
    [{ fileVersions: 0, fileVersionAgeMs: 0, fileVersionBytes: 0 }, [4], [2]],
  ];
  for (const [retention, a, b] of cases) {
    database.run("DELETE FROM file_versions");
    for (const number of [1, 2, 3, 4]) append("spoe/a", number, "0123456789");
    append("spoe/b", 1, "0123456789");
    append("spoe/b", 2, undefined);
    pruneFileVersions(database, 5_000, { ...KEEP, ...retention });
    assert.deepEqual([numbers("spoe/a"), numbers("spoe/b")], [a, b], JSON.stringify(retention));
  }
});
