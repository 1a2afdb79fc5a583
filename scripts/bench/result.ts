import type { Measurement } from "./bench.ts";

/** A measurement as it is written to bench/results/NAME.json. */
export interface Row {
  readonly case: string;
  readonly value: number;
  readonly unit: string;
  readonly bound: number | null;
  /** value / bound */
  readonly ratio: number | null;
  readonly target: number | null;
  /** Null where there is no target. */
  readonly met: boolean | null;
}

/** Computes what a measurement says. */
export function toRow({ case: name, value, unit, bound, target, better = "less" }: Measurement): Row {
  const ratio = bound === undefined ? undefined : value / bound;
  const hasTarget = ratio !== undefined && target !== undefined;
  return {
    case: name,
    value,
    unit,
    bound: bound ?? null,
    ratio: ratio ?? null,
    target: target ?? null,
    met: hasTarget ? (better === "less" ? ratio <= target : ratio >= target) : null,
  };
}

/** Measurements whose bound is more than twice as bad as it should be. */
export function voidMeasurements(measurements: readonly Measurement[]): Measurement[] {
  return measurements.filter(({ bound, expectedBound, better = "less" }) => {
    if (bound === undefined || expectedBound === undefined) return false;
    return better === "less" ? bound > 2 * expectedBound : bound < expectedBound / 2;
  });
}

/** Prints rows as a table in plain text. */
export function formatTable(rows: readonly Row[]): string {
  const cells = [
    ["case", "value", "bound", "ratio", "target", ""],
    ...rows.map((row) => [
      row.case,
      `${formatNumber(row.value)} ${row.unit}`,
      row.bound === null ? "" : `${formatNumber(row.bound)} ${row.unit}`,
      row.ratio === null ? "" : row.ratio.toFixed(2),
      row.target === null ? "" : String(row.target),
      row.met === null ? "" : row.met ? "met" : "MISSED",
    ]),
  ];
  const widths =
    cells[0]?.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0))) ?? [];
  const align = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0);
  return cells.map((line) => line.map(align).join("  ").trimEnd()).join("\n");
}

/** Three significant digits, and no fraction above a hundred. */
function formatNumber(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
