import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { FileSystem } from "../lib/durable-file.ts";
import type { ConfigFiles } from "./config-files.ts";
import { writePrivate } from "./write-private.ts";

/** What it is done with. */
export interface StandInTools {
  readonly haproxy: Haproxy;
  readonly fs: FileSystem;
  readonly files: ConfigFiles;
  readonly logger: Logger;
}

/**
 * While somebody's edit of the files is held, a managed HAProxy that has to be started is started from what was last accepted: copies of that, beside the files. The edit itself is left alone. One that is down is started
 * at once.
 */
export async function standIn({ haproxy, fs, files, logger }: StandInTools): Promise<void> {
  const { standIns } = haproxy;
  if (standIns === undefined) return;
  try {
    for (const [index, { bytes }] of files.believed.entries())
      await replaceName(fs, standIns.paths[index]!, (path) => writePrivate(fs, path, bytes));
  } catch (error) {
    logger.error({ err: error }, "an HAProxy that ends now cannot be started from what it last accepted");
    return;
  }
  standIns.wanted = true;
  if (haproxy.state.kind === "down") void haproxy.start();
}

/** The files are what HAProxy is started from again. One that was started from copies has their names on its command line: they become links to the files. */
export async function standBack({ haproxy, fs, files, logger }: StandInTools): Promise<void> {
  const { standIns } = haproxy;
  if (standIns === undefined) return;
  standIns.wanted = false;
  try {
    for (const [index, path] of standIns.paths.entries())
      if (standIns.inUse) await replaceName(fs, path, (link) => fs.symlink(files.paths[index]!, link));
      else await fs.rm(path, { force: true });
  } catch (error) {
    logger.error(
      { err: error },
      "HAProxy, started from what it last accepted, would not read the files again",
    );
  }
}

/** Gives a name to something new, whatever has it; not to what a symbolic link of this name leads to. */
async function replaceName(
  fs: FileSystem,
  path: string,
  create: (path: string) => Promise<void>,
): Promise<void> {
  const temporary = `${path}-${randomBytes(6).toString("hex")}`;
  try {
    await create(temporary);
    await fs.rename(temporary, path);
  } catch (error) {
    await fs.rm(temporary, { force: true });
    throw error;
  }
}
