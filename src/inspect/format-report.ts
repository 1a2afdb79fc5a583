import type { FileReport } from "./inspect-file.ts";

/** The reports as JSON, for programs. */
export function formatJson(reports: readonly FileReport[]): string {
  const files = reports.map(
    ({ file, bytes, sections, directives, typed, partial, unmodelled, depth, lossless }) => ({
      file,
      bytes,
      sections,
      directives,
      typed,
      partial,
      unmodelled,
      depth: Number(depth.toFixed(4)),
      lossless,
    }),
  );
  return `${JSON.stringify({ files })}\n`;
}

/** The reports for a person to read. */
export function formatText(reports: readonly FileReport[]): string {
  return reports.map(formatFile).join("\n");
}

function formatFile(report: FileReport): string {
  const { file, bytes, sections, directives, typed, partial, ignored, unmodelled, words, textWords, depth } =
    report;
  const rows = [
    ["typed", typed, share(typed, directives)],
    ["  of these partly", partial, ""],
    ["  of these ignored by HAProxy where they stand", ignored, ""],
    ["not understood", unmodelled.length, share(unmodelled.length, directives)],
    ["words", words, ""],
    ["  text on purpose", textWords, share(textWords, words)],
    ["  of the others in a field of their own", Math.round(depth * (words - textWords)), percent(depth)],
  ] as const;
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = [
    `${file}: ${counted(bytes, "byte")}, ${counted(sections, "section")}, ${counted(directives, "directive")}`,
    ...rows.map(([name, count, part]) =>
      `  ${name.padEnd(width)}  ${number(count).padStart(9)}  ${part.padStart(7)}`.trimEnd(),
    ),
    report.lossless ? "  prints back to the same bytes" : "  DOES NOT PRINT BACK to the same bytes",
    ...(report.unended ? ["  the last line has no line feed, which HAProxy refuses"] : []),
    ...unmodelled.flatMap(({ line, words, why }) => [`  line ${line}: ${visible(words)}`, `    ${why}`]),
  ];
  return `${lines.join("\n")}\n`;
}

function share(part: number, whole: number): string {
  return whole === 0 ? "" : percent(part / whole);
}

/** Rounded down, so that only all of it is 100 %. */
function percent(part: number): string {
  return `${(Math.floor(part * 1000) / 10).toFixed(1)} %`;
}

function counted(count: number, thing: string): string {
  return `${number(count)} ${thing}${count === 1 ? "" : "s"}`;
}

function number(count: number): string {
  return count.toLocaleString("en");
}

/** Words without what could lead a terminal astray, and cut where they are long. */
function visible(words: readonly string[]): string {
  const text = words.join(" ").replace(/[\p{Cc}\p{Cf}]/gu, "\ufffd");
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}
