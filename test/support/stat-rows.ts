import { cellEnd, type StatsTable, unquote } from "../../src/haproxy/stats-table.ts";

/** The columns of a row that are not empty, by name. */
export type StatRow = Readonly<Record<string, string | undefined>>;

/** The rows of a table, cell by cell. */
export function statRows({ columns, rows }: StatsTable): StatRow[] {
  return rows.map((row) => {
    const cells: Record<string, string> = {};
    for (let at = 0, column = 0; at <= row.length; column += 1) {
      const end = cellEnd(row, at);
      const name = columns[column];
      if (end > at && name !== undefined) cells[name] = unquote(row.slice(at, end));
      at = end + 1;
    }
    return cells;
  });
}
