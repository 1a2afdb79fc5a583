import { randomBytes } from "node:crypto";
import { basename, dirname, join } from "node:path";
import type { FileSystem } from "../lib/durable-file.ts";
import { DomainError } from "../lib/errors.ts";

/**
 * Finds out before anything depends on it whether a configuration file can be replaced by renaming another one over it. Throws `NOT_SUPPORTED` with what to do: its directory cannot be written, or the file is a
 * mount point of its own.
 */
export async function requireReplaceable(fs: FileSystem, path: string): Promise<void> {
  const target = await fs.realpath(path);
  const mounts = await mountPoints(fs);
  if (mounts.has(target)) {
    throw unusable(
      path,
      `${target} is a mount point of its own, so it cannot be replaced in one step; mount its directory instead`,
    );
  }
  const probe = join(dirname(target), `.${basename(target)}.haplane-probe-${randomBytes(6).toString("hex")}`);
  try {
    await (await fs.open(probe, "wx", 0o600)).close();
    await fs.unlink(probe);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw unusable(path, `${dirname(target)} cannot be written (${code}); let haplane's user write it`);
  }
}

function unusable(path: string, why: string): DomainError {
  return new DomainError(
    "NOT_SUPPORTED",
    `${path} cannot be changed: ${why}, or only look with --read-only`,
    {
      metadata: { needs: "a configuration file that can be replaced" },
    },
  );
}

/** Where file systems are mounted; empty where the system does not tell. */
async function mountPoints(fs: FileSystem): Promise<ReadonlySet<string>> {
  const table = await fs.readFile("/proc/self/mountinfo").catch(() => Buffer.alloc(0));
  const points = table
    .toString()
    .split("\n")
    .flatMap((line) => line.split(" ")[4] ?? []);
  return new Set(
    points.map((point) =>
      point.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
    ),
  );
}
