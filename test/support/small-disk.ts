import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A disk of its own, which can be filled. */
export interface SmallDisk {
  /** An empty directory on it. */
  readonly dir: string;
  /** Leaves no byte free. */
  fill(): void;
  /** Gives back what `fill` took. */
  clear(): void;
  /** Takes it away. */
  remove(): void;
}

const CHUNK = Buffer.alloc(64 * 1024);

/** Mounts one of so many megabytes; undefined without the right to mount. */
export function mountSmallDisk(megabytes: number): SmallDisk | undefined {
  const root = mkdtempSync(join(tmpdir(), "haplane-small-disk-"));
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "haplane", root]);
  if (status !== 0) {
    rmSync(root, { recursive: true });
    return undefined;
  }
  const dir = join(root, "all");
  mkdirSync(dir);
  const ballast = join(root, "ballast");
  return {
    dir,
    fill() {
      const file = openSync(ballast, "w");
      try {
        for (;;) writeSync(file, CHUNK);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      } finally {
        closeSync(file);
      }
    },
    clear: () => rmSync(ballast, { force: true }),
    remove() {
      spawnSync("umount", [root]);
      rmSync(root, { recursive: true });
    },
  };
}
