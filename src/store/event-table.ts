import type { Database } from "./database.ts";
import type { LogPosition, ReadLimit } from "./event-log.ts";
import { concatenate, type EventHead, type PackedEntries, type PackedEvents } from "./packed-events.ts";

/** Appends events as one entry behind `newest`; answers the entry's own position. */
export function appendEvents(database: Database, newest: LogPosition, events: PackedEvents): LogPosition {
  const entry = newest.seq + events.heads.length;
  let { seq, revision } = newest;
  let at = 0;
  for (const head of events.heads) {
    seq += 1;
    revision = Math.max(revision, head.revision);
    database.run(
      "INSERT INTO events (seq, entry, revision, time, kind, resource, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)",
      seq,
      entry,
      revision,
      Math.round(head.time),
      head.kind,
      head.resource,
      events.bytes.subarray(at, at + head.size),
    );
    at += head.size;
  }
  return { seq, revision };
}

/** Where the log ends. */
export function newestPosition(database: Database): LogPosition {
  return (
    database.get<LogPosition>("SELECT seq, revision FROM events ORDER BY seq DESC LIMIT 1") ?? {
      seq: 0,
      revision: 0,
    }
  );
}

/** Number of the oldest event that is kept; one more than the newest when there is none. */
export function oldestSeq(database: Database): number {
  const seq = database.get<{ seq: number | null }>("SELECT min(seq) AS seq FROM events")?.seq;
  return seq ?? newestPosition(database).seq + 1;
}

interface Row extends Pick<EventHead, "kind" | "resource"> {
  readonly entry: number;
  readonly revision: number;
  readonly bytes: Uint8Array;
}

interface UnfinishedEntry {
  readonly seq: number;
  revision: number;
  readonly heads: Pick<EventHead, "kind" | "resource" | "size">[];
}

/** Whole entries after the one that ends with `after`: at least one if there is one, then more until a limit is reached. */
export function readEntries(database: Database, after: number, limit: ReadLimit): PackedEntries {
  const entries: UnfinishedEntry[] = [];
  const bytes: Uint8Array[] = [];
  let size = 0;
  const rows = database.each<Row>(
    "SELECT entry, revision, kind, resource, bytes FROM events WHERE seq > ? ORDER BY seq",
    after,
  );
  for (const row of rows) {
    let entry = entries.at(-1);
    if (entry?.seq !== row.entry) {
      if (bytes.length >= limit.events || size >= limit.bytes) break;
      entry = { seq: row.entry, revision: row.revision, heads: [] };
      entries.push(entry);
    }
    entry.revision = row.revision;
    entry.heads.push({ kind: row.kind, resource: row.resource, size: row.bytes.length });
    bytes.push(row.bytes);
    size += row.bytes.length;
  }
  return { entries, bytes: concatenate(bytes) };
}

/** Bytes of all encoded events. */
export function eventBytes(database: Database): number {
  return (
    database.get<{ bytes: number }>("SELECT coalesce(sum(length(bytes)), 0) AS bytes FROM events")?.bytes ?? 0
  );
}

/** What a step of pruning did. */
export interface Pruned {
  /** Bytes of the events that are gone. */
  readonly bytes: number;
  /** There may be more to prune. */
  readonly more: boolean;
}

/**
 * Drops the oldest entries that are older than `before`, and as many as make up `excess` bytes. The newest entry stays, so that numbers go on. Looks at a bounded number
 * of events per call.
 */
export function pruneEvents(database: Database, before: number, excess: number): Pruned {
  const newest = newestPosition(database).seq;
  let bytes = 0;
  let upTo = 0;
  let entry = { seq: 0, bytes: 0, time: 0 };
  let seen = 0;
  const isOver = () => entry.time < before || bytes < excess;
  const rows = database.each<{ entry: number; time: number; size: number }>(
    "SELECT entry, time, length(bytes) AS size FROM events ORDER BY seq",
  );
  for (const row of rows) {
    if (row.entry !== entry.seq) {
      if (entry.seq !== 0) {
        if (!isOver()) break;
        bytes += entry.bytes;
        upTo = entry.seq;
        if (seen >= PRUNE_STEP) break;
      }
      entry = { seq: row.entry, bytes: 0, time: row.time };
    }
    entry.bytes += row.size;
    seen += 1;
  }
  if (upTo === 0 || upTo >= newest) return { bytes: 0, more: false };
  database.run("DELETE FROM events WHERE seq <= ?", upTo);
  return { bytes, more: seen >= PRUNE_STEP };
}

const PRUNE_STEP = 2_000;
