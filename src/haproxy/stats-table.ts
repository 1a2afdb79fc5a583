/** `show stat` as HAProxy printed it, cut into rows and no further: most of them are never looked into, since nothing has changed in them. */
export interface StatsTable {
  /** The names of the columns, in the order of the cells. */
  readonly columns: readonly string[];
  /** A row each, without the line break. */
  readonly rows: readonly string[];
  /** The worker whose statistics these are. Its counters began with it. */
  readonly workerPid: number;
}

const COMMA = 44;
const QUOTE = 34;

/** Cuts the answer to `show stat` (management guide, section 9.1) into rows. Undefined when it is not one. */
export function parseStatsTable(answer: string, workerPid: number): StatsTable | undefined {
  if (!answer.startsWith("# pxname,svname,")) return undefined;
  const [header = "", ...rows] = answer.includes('"') ? splitRecords(answer) : answer.split("\n");
  const columns = header.slice(2).replace(/,$/, "").split(",");
  return { columns, rows: rows.filter((row) => row !== ""), workerPid };
}

/** What a row is about: proxy, service and type, as text. No two rows of a table have the same. */
export function rowKey({ columns }: Pick<StatsTable, "columns">): (row: string) => string {
  const typeAt = columns.indexOf("type");
  return (row) => {
    const named = cellEnd(row, cellEnd(row, 0) + 1);
    const type = cellStart(row, typeAt);
    return row.slice(0, named + 1) + row.slice(type, cellEnd(row, type));
  };
}

/** Where the cell that begins at `at` ends: at its comma, or at the end of the row. One in quotes may hold commas, doubled quotes and line breaks (RFC 4180). */
export function cellEnd(row: string, at: number): number {
  if (row.charCodeAt(at) === QUOTE) {
    for (let end = at + 1; end < row.length; end += 1) {
      if (row.charCodeAt(end) !== QUOTE) continue;
      if (row.charCodeAt(end + 1) !== QUOTE) return end + 1;
      end += 1;
    }
    return row.length;
  }
  let end = at;
  while (end < row.length && row.charCodeAt(end) !== COMMA) end += 1;
  return end;
}

/** A cell without its quotes. */
export function unquote(cell: string): string {
  return cell.charCodeAt(0) === QUOTE ? cell.slice(1, -1).replaceAll('""', '"') : cell;
}

/** Where a cell begins. */
export function cellStart(row: string, column: number): number {
  let at = 0;
  for (let passed = 0; passed < column; passed += 1) at = cellEnd(row, at) + 1;
  return at;
}

/** Lines, but for the line breaks within quotes. */
function splitRecords(text: string): string[] {
  const records: string[] = [];
  let begin = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) quoted = !quoted;
    else if (code === 10 && !quoted) {
      records.push(text.slice(begin, at));
      begin = at + 1;
    }
  }
  records.push(text.slice(begin));
  return records;
}
