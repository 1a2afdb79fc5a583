/**
 * Runs the tests with Node's own runner: `npm test` runs all of them, `npm test -- WORD…` those whose path holds one of the words.
 * Options are handed to the runner: `npm test -- discovery --test-name-pattern=hitless`.
 */

import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";

const PATTERN = "{src,test,scripts,bench}/**/*.test.{ts,mjs}";

/** For one test and for one file, in milliseconds. Far above what any needs: it ends what hangs. */
const TIMEOUT = 300_000;

/** How many files run at once. Many of them wait for HAProxy, Consul or the disk most of the time, so two fit on any machine. */
const CONCURRENCY = Math.max(2, availableParallelism() - 1);

const root = fileURLToPath(new URL("..", import.meta.url));
const args = process.argv.slice(2);
const options = args.filter((arg) => arg.startsWith("-"));
const words = args.filter((arg) => !arg.startsWith("-"));

const all = globSync(PATTERN, { cwd: root }).sort();
const files = words.length === 0 ? all : all.filter((file) => words.some((word) => file.includes(word)));

if (files.length === 0) {
  const why =
    words.length === 0
      ? "There are no test files."
      : `No test file has "${words.join('" or "')}" in its path.`;
  console.error(`${why} The tests are ${PATTERN} (${all.length} files).`);
  process.exitCode = 1;
} else {
  const runner = [
    "--test",
    "--test-reporter=spec",
    `--test-timeout=${TIMEOUT}`,
    `--test-concurrency=${CONCURRENCY}`,
    ...options,
  ];
  const child = spawn(process.execPath, [...runner, ...files], { cwd: root, stdio: "inherit" });
  // Ctrl-C reaches the runner too, and it ends its files; wait for that.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("close", (code) => {
    process.exitCode = code ?? 1;
  });
}
