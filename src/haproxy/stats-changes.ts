import { cellEnd, rowKey, type StatsTable } from "./stats-table.ts";

/** Columns that grow by themselves with time, while nothing happens. That they have grown is no change of a row. */
const AGES = ["lastchg", "downtime", "lastsess"];

/** What is different in a table. */
export interface StatsChanges {
  /** Places in the new table of the rows that are new or say something else, in its order. */
  readonly changed: readonly number[];
  /** Rows of the old table that the new one does not have. */
  readonly removed: readonly string[];
}

/** Compares two tables. Rows are found by proxy, service and type; their order says nothing. Cheap where rows keep their places and little has changed, for cells are compared as text and none is read. */
export function statsChanges(before: StatsTable, after: StatsTable): StatsChanges {
  const sameColumns = before.columns === after.columns || before.columns.join() === after.columns.join();
  const [keyOf, oldKeyOf] = [rowKey(after), rowKey(before)];
  const isSame = sameColumns ? sameButFor(agesOf(after.columns)) : () => false;
  const changed: number[] = [];
  const { rows } = after;
  const old = before.rows;
  let byKey: Map<string, string> | undefined;
  /** How many of the old rows have a counterpart. */
  let kept = 0;
  for (let at = 0; at < rows.length; at += 1) {
    const row = rows[at] as string;
    const there = old[at];
    if (there !== undefined && isSame(there, row)) {
      kept += 1;
      continue;
    }
    const key = keyOf(row);
    let former = there !== undefined && oldKeyOf(there) === key ? there : undefined;
    if (former === undefined) {
      byKey ??= new Map(old.map((one) => [oldKeyOf(one), one]));
      former = byKey.get(key);
    }
    if (former !== undefined) kept += 1;
    if (former === undefined || former === there || !isSame(former, row)) changed.push(at);
  }
  if (kept === old.length) return { changed, removed: [] };
  const present = new Set(rows.map(keyOf));
  return { changed, removed: old.filter((row) => !present.has(oldKeyOf(row))) };
}

function agesOf(columns: readonly string[]): number[] {
  return AGES.map((name) => columns.indexOf(name))
    .filter((column) => column !== -1)
    .sort((a, b) => a - b);
}

/** Whether two rows are the same but for these columns, in ascending order. */
function sameButFor(columns: readonly number[]): (a: string, b: string) => boolean {
  const last = columns.at(-1) ?? -1;
  return (a, b) => {
    if (a === b) return true;
    let [atA, atB, next] = [0, 0, 0];
    // The part that is compared as one begins here.
    let [fromA, fromB] = [0, 0];
    for (let column = 0; column <= last; column += 1) {
      const [endA, endB] = [cellEnd(a, atA), cellEnd(b, atB)];
      if (column === columns[next]) {
        if (atA - fromA !== atB - fromB || a.slice(fromA, atA) !== b.slice(fromB, atB)) return false;
        [fromA, fromB] = [endA, endB];
        next += 1;
      }
      [atA, atB] = [endA + 1, endB + 1];
    }
    return a.length - fromA === b.length - fromB && a.slice(fromA) === b.slice(fromB);
  };
}
