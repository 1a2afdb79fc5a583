import { DomainError } from "../lib/errors.ts";
import { deleteAnswer, putAnswer } from "./answer-table.ts";
import type { Database } from "./database.ts";
import type { LogPosition } from "./event-log.ts";
import { appendEvents } from "./event-table.ts";
import { appendFileVersion } from "./file-version-table.ts";
import { beginIntent, finishIntent } from "./intent-table.ts";
import { putMeta } from "./meta-table.ts";
import type { Operation } from "./operations.ts";
import type { PackedEvents } from "./packed-events.ts";
import { putReload } from "./reload-table.ts";
import { appendRevision } from "./revision-table.ts";
import { deleteSource, putSource } from "./source-table.ts";
import { appendTransactionWrite, deleteTransaction, putTransaction } from "./transaction-table.ts";

/** An operation as it travels to the writing thread. */
export type WireOperation =
  | Exclude<Operation, { readonly kind: "append-events" }>
  | { readonly kind: "append-events"; readonly events: PackedEvents };

/** What became of one batch. */
export type BatchResult =
  /** It is durable; with the position of each entry that it appended. */
  | { readonly kind: "done"; readonly entries: readonly LogPosition[] }
  /** It contradicts what is stored, which is its sender's defect; nothing of it is stored. */
  | { readonly kind: "refused"; readonly message: string };

/** What became of a group of batches. */
export interface GroupResult {
  readonly batches: readonly BatchResult[];
  /** Where the log ends now. */
  readonly newest: LogPosition;
}

/**
 * Writes batches in one transaction. A batch that is refused leaves the others alone; when the disk fails, the transaction is undone and the error thrown,
 * for all of them.
 */
export function writeGroup(
  database: Database,
  start: LogPosition,
  batches: readonly (readonly WireOperation[])[],
): GroupResult {
  return database.transaction(() => {
    let newest = start;
    const results = batches.map((batch): BatchResult => {
      database.run("SAVEPOINT batch");
      try {
        const entries: LogPosition[] = [];
        let position = newest;
        for (const operation of batch) {
          if (operation.kind === "append-events") {
            position = appendEvents(database, position, operation.events);
            entries.push(position);
          } else {
            apply(database, operation);
          }
        }
        database.run("RELEASE batch");
        newest = position;
        return { kind: "done", entries };
      } catch (error) {
        if (error instanceof DomainError && error.reason === "STORE_UNAVAILABLE") throw error;
        database.execute("ROLLBACK TO batch; RELEASE batch");
        return { kind: "refused", message: (error as Error).message };
      }
    });
    return { batches: results, newest };
  });
}

function apply(
  database: Database,
  operation: Exclude<WireOperation, { readonly kind: "append-events" }>,
): void {
  switch (operation.kind) {
    case "append-revision":
      appendRevision(database, operation.revision);
      break;
    case "put-source":
      putSource(database, operation.source);
      break;
    case "delete-source":
      deleteSource(database, operation.name);
      break;
    case "put-reload":
      putReload(database, operation.reload);
      break;
    case "begin-intent":
      beginIntent(database, operation.intent);
      break;
    case "finish-intent":
      finishIntent(database, operation.id);
      break;
    case "put-meta":
      putMeta(database, operation.name, operation.value);
      break;
    case "put-transaction":
      putTransaction(database, operation.transaction);
      break;
    case "append-transaction-write":
      appendTransactionWrite(database, operation.write);
      break;
    case "delete-transaction":
      deleteTransaction(database, operation.name);
      break;
    case "put-answer":
      putAnswer(database, operation.answer, operation.forgetBefore);
      break;
    case "delete-answer":
      deleteAnswer(database, operation.caller, operation.requestId);
      break;
    case "append-file-version":
      appendFileVersion(database, operation.version);
      break;
  }
}
