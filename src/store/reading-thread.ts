import { parentPort, workerData } from "node:worker_threads";
import { getAnswer } from "./answer-table.ts";
import { Database } from "./database.ts";
import type { ReadLimit } from "./event-log.ts";
import { oldestSeq, readEntries } from "./event-table.ts";
import { listFileVersions, newestFileVersions, readFileVersion } from "./file-version-table.ts";
import { pendingIntents } from "./intent-table.ts";
import { getMeta } from "./meta-table.ts";
import { getReload, listReloads } from "./reload-table.ts";
import {
  diffRevisions,
  getRevision,
  listRevisions,
  readRevisionFile,
  revisionFiles,
} from "./revision-table.ts";
import { listSources } from "./source-table.ts";
import { serve } from "./thread.ts";
import { listTransactions } from "./transaction-table.ts";

/** What the reading thread is started with. */
export interface ReadingThreadData {
  readonly path: string;
}

const QUERIES = {
  listRevisions,
  getRevision,
  revisionFiles,
  readRevisionFile,
  diffRevisions,
  listReloads,
  getReload,
  listSources,
  pendingIntents,
  getMeta,
  listTransactions,
  getAnswer,
  listFileVersions,
  newestFileVersions,
  readFileVersion,
  readEvents: (database: Database, after: number, limit: ReadLimit) => ({
    ...readEntries(database, after, limit),
    oldest: oldestSeq(database),
  }),
};

type Queries = typeof QUERIES;

/** What the reading thread answers: the queries, without the connection. */
export type ReadingCalls = {
  [N in keyof Queries]: Queries[N] extends (database: Database, ...args: infer A) => infer R
    ? (...args: A) => R
    : never;
};

if (parentPort !== null) {
  const { path } = workerData as ReadingThreadData;
  let connection: Database | undefined;
  // Opened by the first call, so that what goes wrong is that call's error; each answer is of one moment.
  const answer =
    (query: (database: Database, ...args: never[]) => unknown) =>
    (...args: never[]) => {
      connection ??= Database.openReadOnly(path);
      const database = connection;
      return database.snapshot(() => query(database, ...args));
    };
  serve(
    parentPort,
    Object.fromEntries(Object.entries(QUERIES).map(([name, query]) => [name, answer(query as never)])),
  );
}
