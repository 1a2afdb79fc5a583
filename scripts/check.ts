/** Runs every static check, says for each whether it holds, and for one that does not, what is wrong and how to mend it. */

import { spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

interface Check {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly mend: string;
}

const BASELINE = "test/api/baseline.binpb";

const CHECKS: readonly Check[] = [
  {
    name: "format and lint",
    command: ["biome", "check", "--error-on-warnings", "."],
    mend: "npm run format, and by hand what it leaves",
  },
  { name: "types", command: ["tsc", "--noEmit"], mend: "by hand" },
  { name: "types of set-up", command: ["tsc", "--noEmit", "-p", "scripts/setup"], mend: "by hand" },
  { name: "imports", command: ["node", "scripts/check-imports.ts"], mend: "as said" },
  { name: "proto lint", command: ["buf", "lint"], mend: "by hand" },
  {
    name: "proto compatibility",
    command: ["buf", "breaking", "--against", BASELINE],
    mend: "keep what released clients use; if the break is meant, see docs/development.md",
  },
  { name: "generated code", command: ["node", "scripts/check-generated.ts"], mend: "npm run generate" },
];

const root = fileURLToPath(new URL("..", import.meta.url));
const failed: string[] = [];
for (const { name, command, mend } of CHECKS) {
  const started = performance.now();
  const [program, ...args] = command;
  const { status, error, stdout, stderr } = spawnSync(program, args, { cwd: root, encoding: "utf8" });
  const took = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  if (status === 0) {
    console.log(`ok      ${name} (${took})`);
    continue;
  }
  failed.push(name);
  console.log(`FAILED  ${name} (${took}): ${command.join(" ")}`);
  console.log(error?.message ?? `${stdout}${stderr}`.trim());
  console.log(`        to mend: ${mend}\n`);
}
if (failed.length > 0) {
  console.error(`Static checks that failed: ${failed.join(", ")}.`);
  process.exitCode = 1;
}
