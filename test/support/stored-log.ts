import { DatabaseSync } from "node:sqlite";
import type { LoggedEvent } from "../../src/events/event-log.ts";
import { digestOf } from "./resuming-reader.ts";

/** An entry of the event log as it lies in the state database: what all watches together are held against. */
export interface StoredEntry {
  readonly seq: number;
  readonly events: readonly (LoggedEvent & { readonly revision: number; readonly digest: string })[];
}

/** The event log of a state database that may be in use, past the code that serves it. */
export function readStoredLog(database: string): { readonly epoch: string; readonly entries: StoredEntry[] } {
  const db = new DatabaseSync(database, { readOnly: true });
  try {
    const { epoch } = db.prepare("SELECT epoch FROM installation").get() as { epoch: Uint8Array };
    const rows = db
      .prepare("SELECT entry, kind, resource, revision, bytes FROM events ORDER BY seq")
      .all() as unknown as readonly (Omit<StoredEntry["events"][number], "digest"> & { entry: number })[];
    const digested = rows.map((row) => ({ ...row, digest: digestOf(row.bytes) }));
    const entries = Map.groupBy(digested, ({ entry }) => entry);
    return {
      epoch: Buffer.from(epoch).toString("base64url"),
      entries: [...entries].map(([seq, events]) => ({ seq, events })),
    };
  } finally {
    db.close();
  }
}
