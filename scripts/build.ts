/**
 * Makes dist/ for the published package: JavaScript without types from src/, at the same depth below the root, so that what is said
 * about `../../gen/` holds in both.
 */

import { spawnSync } from "node:child_process";
import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
rmSync(dist, { recursive: true, force: true });
const { status } = spawnSync("tsc", ["-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
if (status !== 0) process.exit(1);

// tsc rewrites `.ts` in imports, but not in the URL that a worker thread is started from.
for (const file of globSync("**/*.js", { cwd: dist })) {
  const text = readFileSync(join(dist, file), "utf8");
  const rewritten = text.replace(/(new URL\("\.[^"]*)\.ts("\s*,\s*import\.meta\.url\))/g, "$1.js$2");
  if (rewritten !== text) writeFileSync(join(dist, file), rewritten);
}
