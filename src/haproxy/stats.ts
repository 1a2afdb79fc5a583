/** A value of `show stat`: a number where the column is numeric, bigint beyond 2^53. */
export type StatValue = string | number | bigint;

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
