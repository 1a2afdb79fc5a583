import {
  type FileSystem,
  holds,
  readIfThere,
  replaceFile,
  type StagedFile,
  stageFile,
} from "../lib/durable-file.ts";
import { DomainError } from "../lib/errors.ts";
import { Document, type PartInput } from "../text/document.ts";
import type { FileState } from "./file-state.ts";

/** How a write ended. */
export type Written =
  | { readonly kind: "written" }
  /** The files held it already. */
  | { readonly kind: "unchanged" }
  /** Somebody else changed a file since it was last read or written; what they wrote is in place. */
  | { readonly kind: "foreign" };

/** The next content of the files that it changes: durable beside them, not in place yet. To be placed or discarded, once. */
export interface StagedFiles {
  readonly parts: readonly { readonly index: number; readonly bytes: Buffer; readonly file: StagedFile }[];
}

/** What the files hold. */
export interface Found {
  readonly parts: readonly PartInput[];
  readonly document: Document;
}

/** The files that HAProxy reads, and what they are believed to hold. */
export class ConfigFiles {
  readonly paths: readonly string[];
  readonly #fs: FileSystem;
  #believed: readonly Buffer[] = [];
  /** Whose they are; kept by those who find out. */
  state: FileState = { kind: "ours" };

  constructor(paths: readonly string[], fs: FileSystem) {
    this.paths = paths;
    this.#fs = fs;
  }

  /** What the files held when they were last read or written. */
  get believed(): readonly PartInput[] {
    return this.paths.map((path, index) => ({ path, bytes: this.#believed[index] ?? Buffer.alloc(0) }));
  }

  /** What the files hold now, without believing it. Throws `NOT_SUPPORTED` when one is missing. */
  async peek(): Promise<Found> {
    const parts = await Promise.all(
      this.paths.map(async (path) => {
        const bytes = await readIfThere(this.#fs, path);
        if (bytes !== undefined) return { path, bytes };
        throw new DomainError("NOT_SUPPORTED", `there is no configuration file ${path}`, {
          metadata: { needs: path },
        });
      }),
    );
    return { parts, document: Document.parse(parts) };
  }

  /** From now on this is what the files are believed to hold. */
  believe(parts: readonly PartInput[]): void {
    this.#believed = parts.map(({ bytes }) => bytes);
  }

  /** Whether the files hold something else than is believed. */
  async isForeign(): Promise<boolean> {
    for (const { path, bytes } of this.believed) if (!(await holds(this.#fs, path, bytes))) return true;
    return false;
  }

  /** Makes the files hold the document, durably: stages and places it. */
  async write(document: Document): Promise<Written> {
    return this.place(await this.stage(printed(document)));
  }

  /** Writes what is to be in the files beside them; those that are believed to hold it already are left alone. */
  async stage(parts: readonly PartInput[]): Promise<StagedFiles> {
    const staged: StagedFiles["parts"][number][] = [];
    try {
      for (const [index, { path, bytes }] of parts.entries()) {
        if (this.#formerOf(index).equals(bytes)) continue;
        staged.push({ index, bytes, file: await stageFile(path, bytes, { fs: this.#fs }) });
      }
      return { parts: staged };
    } catch (error) {
      await this.discard({ parts: staged });
      throw error;
    }
  }

  /** Removes what was staged. */
  async discard({ parts }: StagedFiles): Promise<void> {
    for (const { file } of parts) await file.discard();
  }

  /** Puts what was staged in place. When one of several files turns out to be somebody else's, those replaced before it are put back. */
  async place({ parts }: StagedFiles): Promise<Written> {
    const replaced: { readonly index: number; readonly former: Buffer; readonly bytes: Buffer }[] = [];
    for (const [position, { index, bytes, file }] of parts.entries()) {
      const former = this.#formerOf(index);
      const outcome = await file.place(former);
      if (outcome.kind === "foreign") {
        await this.discard({ parts: parts.slice(position + 1) });
        for (const done of replaced.reverse()) await this.#replace(done.index, done.former, done.bytes);
        return { kind: "foreign" };
      }
      this.#believed = this.#believed.with(index, bytes);
      replaced.push({ index, former, bytes });
    }
    return { kind: replaced.length === 0 ? "unchanged" : "written" };
  }

  #formerOf(index: number): Buffer {
    return this.#believed[index] ?? Buffer.alloc(0);
  }

  async #replace(index: number, bytes: Buffer, expected: Buffer): Promise<void> {
    const outcome = await replaceFile(this.paths[index]!, bytes, { expected, fs: this.#fs });
    if (outcome.kind === "replaced") this.#believed = this.#believed.with(index, bytes);
  }
}

/** The files' content that a document stands for. */
export function printed(document: Document): PartInput[] {
  return document.parts.map(({ path }, part) => ({ path, bytes: document.print(part) }));
}
