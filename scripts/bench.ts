/**
 * Runs a benchmark: `npm run bench -- NAME` runs bench/NAME.ts, prints a table and writes bench/results/NAME.json; `npm run bench -- NAME PART…` runs some of its parts, and writes nothing. Without NAME it
 * lists them. Exit code 1 when a target is missed, 2 when the run is void.
 */

import { globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Bench, BenchContext, BenchModule, Measurement } from "./bench/bench.ts";
import { describeMachine } from "./bench/machine.ts";
import { formatTable, toRow, voidMeasurements } from "./bench/result.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const names = globSync("bench/*.ts", { cwd: root })
  .map((file) => basename(file, ".ts"))
  .filter((name) => !name.endsWith(".test"))
  .sort();
const [name, ...wanted] = process.argv.slice(2);

if (name === undefined) {
  console.log(
    `Benchmarks, each run by npm run bench -- NAME:\n${names.map((each) => `  ${each}`).join("\n")}`,
  );
} else if (!names.includes(name)) {
  console.error(`There is no benchmark "${name}". There are: ${names.join(", ")}`);
  process.exitCode = 1;
} else {
  process.exitCode = await run(name, wanted);
}

/** Runs a benchmark, or some of its parts. Returns the exit code. */
async function run(bench: string, wanted: readonly string[]): Promise<number> {
  const { default: module } = (await import(pathToFileURL(join(root, "bench", `${bench}.ts`)).href)) as {
    default: BenchModule;
  };
  const parts = typeof module === "function" ? { [bench]: module } : module;
  const unknown = wanted.filter((part) => !(part in parts));
  if (unknown.length > 0) {
    console.error(`${bench} has no part "${unknown[0]}". There are: ${Object.keys(parts).join(", ")}`);
    return 1;
  }
  const measurements: Measurement[] = [];
  for (const [part, measure] of Object.entries(parts))
    if (wanted.length === 0 || wanted.includes(part)) measurements.push(...(await inContext(measure)));
  const rows = measurements.map(toRow);
  console.log(formatTable(rows));

  const voids = voidMeasurements(measurements);
  for (const { case: which, bound, expectedBound, unit } of voids) {
    console.error(
      `The run is void: the bound of "${which}" is ${bound} ${unit}, and should be about ${expectedBound}.`,
    );
  }
  if (voids.length > 0) return 2;

  if (wanted.length === 0) {
    const directory = join(root, "bench", "results");
    mkdirSync(directory, { recursive: true });
    const result = { name: bench, ...describeMachine(), rows };
    writeFileSync(join(directory, `${bench}.json`), `${JSON.stringify(result, null, 2)}\n`);
  }
  const missed = rows.filter(({ met }) => met === false).map((row) => row.case);
  if (missed.length === 0) return 0;
  console.error(`Targets missed: ${missed.join(", ")}`);
  return 1;
}

async function inContext(measure: Bench): ReturnType<Bench> {
  const directory = mkdtempSync(join(tmpdir(), "haplane-bench-"));
  const interruption = new AbortController();
  const interrupt = () => interruption.abort(new Error("interrupted"));
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  const context: BenchContext = {
    directory,
    signal: interruption.signal,
    log: (line) => console.error(line),
  };
  try {
    return await measure(context);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
