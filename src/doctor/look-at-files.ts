import { access, constants, lstat, realpath, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type Finding, ok, problem, warning } from "./finding.ts";

/** Whether a file of the configuration can be read, and replaced by another of the same name. */
export async function lookAtConfigFile(path: string, readOnly: boolean): Promise<Finding> {
  try {
    const target = await realpath(path);
    if (!(await stat(target)).isFile())
      return problem(`${path} is no file`, "name a file with --config FILE");
    await access(target, constants.R_OK);
    if (readOnly) return ok(`${path} can be read`);
    const directory = dirname(target);
    await access(directory, constants.W_OK | constants.X_OK);
    if (await isMounted(target))
      return problem(
        `${path} is mounted into its directory by itself, so that it cannot be replaced in one step`,
        "mount the directory instead of the file",
      );
    const what = target === resolve(path) ? path : `${path}, a link to ${target},`;
    return ok(`${what} can be read and replaced`);
  } catch (error) {
    return problem(
      `${path} cannot be ${readOnly ? "read" : "read and replaced"}: ${reasonOf(error)}`,
      "see who haplane runs as, and the rights of the file and its directory",
    );
  }
}

/** A file that is a mount of its own, as containers have them, cannot be renamed over. */
async function isMounted(path: string): Promise<boolean> {
  const [file, directory] = await Promise.all([lstat(path), lstat(dirname(path))]);
  return file.dev !== directory.dev;
}

/** Whether a directory can be used, or made. */
export async function lookAtDirectory(path: string, setting: string): Promise<Finding> {
  try {
    if (!(await stat(path)).isDirectory())
      return problem(`${path} is no directory`, `name another with --${setting} DIR`);
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return ok(`${path} can be written (--${setting})`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT")
      return problem(
        `${path} cannot be written: ${reasonOf(error)}`,
        `see its rights and who haplane runs as, or name another with --${setting} DIR`,
      );
  }
  const parent = await nearestDirectory(dirname(path));
  try {
    await access(parent, constants.W_OK | constants.X_OK);
    return ok(`${path} is not there and can be made (--${setting})`);
  } catch (error) {
    return problem(
      `${path} is not there and cannot be made: ${reasonOf(error)}`,
      `make it for the user that haplane runs as, or name another with --${setting} DIR`,
    );
  }
}

async function nearestDirectory(path: string): Promise<string> {
  try {
    await stat(path);
    return path;
  } catch {
    return path === dirname(path) ? path : nearestDirectory(dirname(path));
  }
}

/** A secret that others may read is one no more. */
export async function lookAtSecret(path: string, setting: string): Promise<Finding | undefined> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o007) === 0) return undefined;
    return warning(`${path} can be read by everybody (--${setting})`, `chmod o= ${path}`);
  } catch {
    // Whether it can be read at all is told where it is used.
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case "ENOENT":
      return "it is not there";
    case "EACCES":
    case "EPERM":
      return "permission denied";
    case "EROFS":
      return "its file system is mounted to be read only";
    default:
      return message;
  }
}
