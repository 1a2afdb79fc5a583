/** Checks that imports go the way the layers say (see scripts/check/imports.ts). */

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { checkImports } from "./check/imports.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const files = globSync("src/**/*.ts", { cwd: root }).sort();
const violations = checkImports(new Map(files.map((file) => [file, readFileSync(join(root, file), "utf8")])));
for (const { file, message } of violations) console.error(`${file}: ${message}`);
if (violations.length > 0) process.exitCode = 1;
