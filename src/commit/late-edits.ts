import { basename, dirname, join } from "node:path";
import type { Logger } from "pino";
import type { Clock } from "../lib/clock.ts";
import { Content } from "../lib/content.ts";
import { type FileSystem, replaceFile } from "../lib/durable-file.ts";
import { applyEdits } from "../store/delta.ts";
import { byteEdit } from "./byte-edit.ts";
import type { ConfigFiles, FormerContent } from "./config-files.ts";
import type { FileWriter } from "./file-writer.ts";

/** A file that was replaced is looked at once more after this long. */
const LOOK_AGAIN_MS = 1_000;

/** An editor writes in several steps: what it wrote counts when it is the same after this long. */
const SETTLE_MS = 150;

/** How often a late edit is tried to be brought into the file before it is set aside. */
const MAX_ATTEMPTS = 3;

/** What it is given. */
export interface LateEditsOptions {
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly files: ConfigFiles;
  readonly writer: FileWriter;
  /** Resolves when what is in the files by now has been adopted, or is held. */
  readonly look: () => Promise<void>;
}

/**
 * An editor that had a file open when it was replaced goes on writing into the former one, where nobody would read it. So that is held open and looked at a second later; what was written is brought into the file
 * as the edit by hand that it is, beside what we wrote meanwhile, and is then adopted or held like any other. Where both changed the same bytes it is set aside beside the file.
 */
export class LateEdits {
  readonly #options: LateEditsOptions;
  readonly #watched = new Map<FormerContent, () => void>();
  #bringing: Promise<unknown> = Promise.resolve();
  #isStopping = false;

  constructor(options: LateEditsOptions) {
    this.#options = options;
  }

  /** Watches a file that was replaced, and closes it. */
  watch(former: FormerContent): void {
    this.#lookIn(former, LOOK_AGAIN_MS, undefined);
  }

  /** Looks at all of them now, and closes them. What is found is in the files then, and adopted at the next start. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const cancel of this.#watched.values()) cancel();
    await this.#bringing;
    for (const former of [...this.#watched.keys()]) {
      const written = await this.#writtenInto(former);
      if (written !== undefined) await this.#bring(former, written, async () => {});
      await this.#close(former);
    }
  }

  /** Closes them, without a look: for a process that cannot go on. */
  abandon(): void {
    for (const [former, cancel] of this.#watched) {
      cancel();
      void this.#close(former);
    }
  }

  #lookIn(former: FormerContent, ms: number, seen: Buffer | undefined): void {
    if (this.#isStopping) return void this.#watched.set(former, () => {});
    this.#watched.set(
      former,
      this.#options.clock.after(ms, () => {
        const looked = this.#look(former, seen).catch((error: unknown) => {
          const { path } = former;
          this.#options.logger.error({ err: error, path }, "a replaced file could not be looked at");
          return this.#close(former);
        });
        this.#bringing = this.#bringing.then(() => looked);
      }),
    );
  }

  async #look(former: FormerContent, seen: Buffer | undefined): Promise<void> {
    const written = await this.#writtenInto(former);
    if (written !== undefined && seen?.equals(written) !== true)
      return this.#lookIn(former, SETTLE_MS, written);
    if (written !== undefined) await this.#bring(former, written, this.#options.look);
    await this.#close(former);
  }

  /** What somebody wrote into a replaced file; undefined when nobody did. */
  async #writtenInto({ handle, mtimeMs, content }: FormerContent): Promise<Buffer | undefined> {
    const stat = await handle.stat();
    if (stat.mtimeMs === mtimeMs && stat.size === content.length) return undefined;
    const read = Buffer.alloc(stat.size);
    const { bytesRead } = await handle.read(read, 0, read.length, 0);
    const found = read.subarray(0, bytesRead);
    return content.equals(Content.of(found)) ? undefined : found;
  }

  /** Brings an edit into the file as it is now, as if the editor had written it there. */
  async #bring({ path, content }: FormerContent, written: Buffer, look: () => Promise<void>): Promise<void> {
    const { fs, logger, files, writer } = this.#options;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const outcome = await writer.exclusive(async () => {
        const now = files.believed.find((part) => part.path === path)!.content;
        const merged = merge(content, Content.of(written), now);
        return merged && (await replaceFile(path, merged, { expected: now, fs })).kind;
      });
      if (outcome === undefined) break;
      await look();
      if (outcome === "foreign") continue;
      logger.warn({ path }, "an edit by hand of a file that had been replaced meanwhile is brought into it");
      return;
    }
    await this.#setAside(path, written);
  }

  async #setAside(path: string, content: Buffer): Promise<void> {
    const { fs, clock, logger } = this.#options;
    const stamp = new Date(clock.now()).toISOString().replaceAll(/[-:]/g, "");
    const aside = join(dirname(path), `${basename(path)}.by-hand-${stamp}`);
    await replaceFile(aside, content, { expected: undefined, fs });
    logger.error(
      { path, aside },
      "an edit by hand of a file that had been replaced meanwhile does not fit it any more; it is kept beside it",
    );
  }

  #close(former: FormerContent): Promise<void> {
    this.#watched.delete(former);
    return former.handle.close();
  }
}

/** What both changed of a content; undefined where they changed the same. */
function merge(base: Content, theirs: Content, ours: Content): Content | undefined {
  const [a, b] = [byteEdit(base, theirs), byteEdit(base, ours)];
  const [first, second] = a.offset <= b.offset ? [a, b] : [b, a];
  if (first.offset + first.length > second.offset) return undefined;
  return Content.of(applyEdits(base.bytes, [first, second]));
}
