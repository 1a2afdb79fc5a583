import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { type CaseFile, parseCases, printCases } from "./case-file.ts";
import { runStep } from "./run-step.ts";

/*
 * Each file tells what a configuration means, and what becomes of it when it is changed; README.md says how. With UPDATE_CASES=1 the
 * expectations are written anew, to be read by eye.
 */

const directory = new URL("./", import.meta.url);
const update = process.env.UPDATE_CASES === "1";

for (const name of readdirSync(directory)
  .filter((file) => file.endsWith(".cfgtest"))
  .sort()) {
  const url = new URL(name, directory);
  const file = parseCases(name, readFileSync(url, "utf8"));
  if (update) writeFileSync(url, printCases(updated(file)));
  else for (const one of file.cases) test(`${name}: ${one.title}`, () => check(one));
}

function check({ text, steps }: CaseFile["cases"][number]): void {
  for (const step of steps) assert.equal(runStep(text, step), step.expected);
}

function updated(file: CaseFile): CaseFile {
  const cases = file.cases.map((one) => ({
    ...one,
    steps: one.steps.map((step) => ({ ...step, expected: runStep(one.text, step) })),
  }));
  return { ...file, cases };
}
