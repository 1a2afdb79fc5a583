import { readScalar, type Scalar } from "./scalar.ts";

/** A value of `show stat`: a number where it is a whole one, bigint beyond 2^53. */
export type StatValue = Scalar;

/** One line of `show stat`. */
export interface StatRow {
  readonly kind: "frontend" | "backend" | "server" | "listener";
  /** Name of the proxy (`pxname`). */
  readonly proxy: string;
  /** `FRONTEND`, `BACKEND`, or the name of the server or listener (`svname`). */
  readonly service: string;
  /** Every column that is not empty, by HAProxy's own name (`scur`, `hrsp_2xx`, `check_status` …). */
  readonly values: Readonly<Record<string, StatValue>>;
}

/** The column `type`, section 9.1. */
const KINDS = ["frontend", "backend", "server", "listener"] as const;

/** Columns whose value is text even where it looks like a number: names, and words of servers and checks. */
const TEXT = new Set([
  "pxname",
  "svname",
  "status",
  "tracked",
  "check_status",
  "last_chk",
  "last_agt",
  "check_desc",
  "agent_status",
  "agent_desc",
  "addr",
  "cookie",
  "mode",
  "algo",
  "proto",
  "guid",
]);

/** Reads the answer to `show stat` in CSV (management guide, section 9.1). Undefined when it is not one. */
export function parseStats(answer: string): StatRow[] | undefined {
  if (!answer.startsWith("# pxname,svname,")) return undefined;
  const [header = [], ...records] = splitCsv(answer.slice(2));
  const isText = header.map((name) => TEXT.has(name));
  const kindAt = header.indexOf("type");
  return records.map((cells) => {
    const values: Record<string, StatValue> = Object.create(null);
    for (let column = 0; column < cells.length; column += 1) {
      const cell = cells[column] as string;
      const name = header[column];
      if (cell === "" || name === undefined || name === "") continue;
      values[name] = isText[column] ? cell : readScalar(cell);
    }
    return {
      kind: KINDS[Number(cells[kindAt])] ?? "server",
      proxy: cells[0] ?? "",
      service: cells[1] ?? "",
      values,
    };
  });
}

/** Splits comma-separated records; a cell in quotes may hold commas, doubled quotes and line breaks (RFC 4180). */
function splitCsv(text: string): string[][] {
  if (!text.includes('"')) {
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.split(","));
  }
  const records: string[][] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^,\n]*))(,|\n|$)/y;
  let record: string[] = [];
  while (cell.lastIndex < text.length) {
    const match = cell.exec(text);
    if (match === null) break;
    record.push(match[1] === undefined ? (match[2] as string) : match[1].replaceAll('""', '"'));
    if (match[3] === ",") continue;
    if (record.length > 1 || record[0] !== "") records.push(record);
    record = [];
  }
  return records;
}
