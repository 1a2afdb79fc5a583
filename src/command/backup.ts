import { chmod, copyFile, mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { SettingsError } from "../settings/settings-error.ts";
import { backUpDatabase } from "../store/back-up.ts";

/** What `haplane backup` copies. */
export interface BackupOptions {
  readonly stateDir: string;
  readonly tokensFile: string;
  /** A directory that does not exist yet. */
  readonly target: string;
  readonly out: (text: string) => void;
}

/** Copies what is in a state directory and nowhere else: the database and the tokens. A haplane that runs there goes on. Throws a SettingsError for a target that is there already. */
export async function runBackup({ stateDir, tokensFile, target, out }: BackupOptions): Promise<void> {
  await mkdir(target, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EEXIST")
      throw new SettingsError(`${target} is there already; name a directory that is not`);
    throw error;
  });
  backUpDatabase(join(stateDir, "haplane.db"), join(target, "haplane.db"));
  const copied = ["haplane.db"];
  for (const file of [join(stateDir, "admin.token"), tokensFile]) {
    const copy = join(target, basename(file));
    if (!(await copyIfThere(file, copy))) continue;
    await chmod(copy, 0o600);
    copied.push(basename(file));
  }
  out(`${copied.join(", ")} copied to ${target}\n`);
}

async function copyIfThere(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
