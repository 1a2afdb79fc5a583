/** Checks that gen/ is what `buf generate` makes of the protos now. */

import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const fresh = mkdtempSync(join(tmpdir(), "haplane-generated-"));
try {
  const { status } = spawnSync("buf", ["generate", "-o", fresh], { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
  else compare(readTree(join(fresh, "gen")), readTree(join(root, "gen")));
} finally {
  rmSync(fresh, { recursive: true });
}

function readTree(directory: string): Map<string, string> {
  const files = globSync("**/*.{js,d.ts}", { cwd: directory });
  return new Map(files.map((file) => [file, readFileSync(join(directory, file), "utf8")]));
}

function compare(wanted: ReadonlyMap<string, string>, found: ReadonlyMap<string, string>): void {
  for (const file of [...new Set([...wanted.keys(), ...found.keys()])].sort()) {
    if (wanted.get(file) === found.get(file)) continue;
    const what = !found.has(file)
      ? "is missing"
      : !wanted.has(file)
        ? "has no proto any more"
        : "is out of date";
    console.error(`gen/${file} ${what}`);
    process.exitCode = 1;
  }
}
