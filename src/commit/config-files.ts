import { join } from "node:path";
import { Content } from "../lib/content.ts";
import {
  type FileSystem,
  type FormerFile,
  findPlace,
  holds,
  type Place,
  readIfThere,
  type StagedFile,
} from "../lib/durable-file.ts";
import { DomainError } from "../lib/errors.ts";
import { saysDirectory } from "../lib/files.ts";
import { Document, type PartInput } from "../text/document.ts";
import { type AttachedChange, type FileContent, putBack, stageContent } from "./attached-files.ts";
import { isUnchanged } from "./byte-edit.ts";
import type { FileState } from "./file-state.ts";

/** How a write ended. */
export type Written =
  | { readonly kind: "written" }
  /** The files held it already. */
  | { readonly kind: "unchanged" }
  /** Somebody else changed a file since it was last read or written; what they wrote is in place. */
  | { readonly kind: "foreign" };

/** The next content of files, the configuration's and others: durable beside them, not in place yet. To be placed or discarded, once. */
export interface StagedFiles {
  readonly steps: readonly Step[];
}

/** One file to be placed. */
interface Step extends AttachedChange {
  /** Which of the configuration's files it is; undefined for others. */
  readonly index: number | undefined;
  readonly file: StagedFile;
}

/** A file of the configuration that was replaced, and what it held then. */
export interface FormerContent extends FormerFile {
  readonly path: string;
  readonly content: Content;
}

/** One of the files, and what it holds; a document can be read from it. */
export class FilePart implements PartInput {
  readonly path: string;
  readonly content: Content;

  constructor(path: string, content: Content) {
    this.path = path;
    this.content = content;
  }

  get bytes(): Buffer {
    return this.content.bytes;
  }
}

/** What the files hold. */
export interface Found {
  readonly parts: readonly FilePart[];
  readonly document: Document;
}

/** The files that HAProxy reads, and what they are believed to hold. */
export class ConfigFiles {
  readonly paths: readonly string[];
  readonly #fs: FileSystem;
  #believed: readonly Content[] = [];
  /** Files beside the configuration that were placed by the change under way. */
  #placed: AttachedChange[] = [];
  /** Those that a change which was taken back has left, and that are to be put back. */
  readonly #returning: AttachedChange[] = [];
  /** Is given each file of the configuration that was replaced, open, and closes it. */
  onReplaced: (former: FormerContent) => void = ({ handle }) => void handle.close();
  /** Whose they are; kept by those who find out. */
  state: FileState = { kind: "ours" };

  constructor(paths: readonly string[], fs: FileSystem) {
    this.paths = paths;
    this.#fs = fs;
  }

  /** What the files held when they were last read or written. */
  get believed(): readonly FilePart[] {
    return this.paths.map((path, index) => new FilePart(path, this.#formerOf(index)));
  }

  /** What the files hold now, without believing it. Throws `NOT_SUPPORTED` when one is missing, or is a directory. */
  async peek(): Promise<Found> {
    const parts = await Promise.all(
      this.paths.map(async (path) => {
        const bytes = await readIfThere(this.#fs, path).catch(async (error: unknown) => {
          throw saysDirectory(error) ? await namesDirectory(this.#fs, path) : error;
        });
        if (bytes !== undefined) return new FilePart(path, Content.of(bytes));
        throw unusable(`there is no configuration file ${path}`, path);
      }),
    );
    return { parts, document: Document.parse(parts) };
  }

  /** From now on this is what the files are believed to hold. */
  believe(parts: readonly FilePart[]): void {
    this.#believed = parts.map(({ content }) => content);
  }

  /** Whether the files hold something else than is believed. */
  async isForeign(): Promise<boolean> {
    for (const { path, content } of this.believed) if (!(await holds(this.#fs, path, content))) return true;
    return false;
  }

  /** Makes the files hold the document, durably: stages and places it. Other files that are to be put back are put back first. */
  async write(document: Document): Promise<Written> {
    for (let step = this.#returning[0]; step !== undefined; step = this.#returning[0]) {
      await putBack(this.#fs, step);
      this.#returning.shift();
    }
    return this.place(await this.stage(printed(document)));
  }

  /** Begins to find out what staging begins with. Resolves with one for each file. */
  places(): Promise<readonly Place[]> {
    const found = Promise.all(this.paths.map((path) => findPlace(path, { fs: this.#fs })));
    // Whoever stages is told.
    found.catch(() => {});
    return found;
  }

  /** Writes what is to be in files beside them; those of the configuration that are believed to hold it already are left alone. `places` were asked for a moment ago. */
  async stage(
    parts: readonly FilePart[],
    attached: readonly AttachedChange[] = [],
    places?: Promise<readonly Place[]>,
  ): Promise<StagedFiles> {
    const found = (await places) ?? [];
    const own = parts.flatMap(({ path, content }, index) => {
      const former = this.#formerOf(index);
      return isUnchanged(former, content)
        ? []
        : [{ path, index, former: unattributed(former), next: unattributed(content) }];
    });
    const others = attached.map((change) => ({ ...change, index: undefined }));
    // What the configuration names is there at any time.
    const ordered = [
      ...others.filter(({ next }) => next !== undefined),
      ...own,
      ...others.filter(({ next }) => next === undefined),
    ];
    const steps: Step[] = [];
    try {
      for (const step of ordered)
        steps.push({
          ...step,
          file: await stageContent(
            this.#fs,
            step.path,
            step.next,
            step.index === undefined ? undefined : found[step.index],
          ),
        });
      return { steps };
    } catch (error) {
      await this.discard({ steps });
      throw error;
    }
  }

  /** Removes what was staged. */
  async discard({ steps }: StagedFiles): Promise<void> {
    for (const { file } of steps) await file.discard();
  }

  /** Puts what was staged in place. When one of several files turns out to be somebody else's, those replaced before it are put back. When one cannot be replaced this rejects, and those before it are the caller's to undo. */
  async place({ steps }: StagedFiles): Promise<Written> {
    let placed = 0;
    try {
      for (const { path, index, former, next, file } of steps) {
        const replaced = await file.place(former?.content, index === undefined ? undefined : "hold-former");
        if (replaced.kind === "replaced" && replaced.former !== undefined)
          this.onReplaced({ path, content: former!.content, ...replaced.former });
        if (replaced.kind === "foreign") {
          await this.discard({ steps: steps.slice(placed + 1) });
          for (const step of steps.slice(0, placed).reverse()) await this.#putBack(step);
          return { kind: "foreign" };
        }
        placed += 1;
        if (index !== undefined) this.#believed = this.#believed.with(index, next!.content);
        else this.#placed.push({ path, former, next });
      }
    } catch (error) {
      await this.discard({ steps: steps.slice(placed + 1) });
      throw error;
    }
    return { kind: steps.length === 0 ? "unchanged" : "written" };
  }

  /** Says that the files beside the configuration stay as they were placed. */
  keepAttached(): void {
    this.#placed = [];
  }

  /** Has the files beside the configuration that were placed put back with the next write. */
  returnAttached(): void {
    this.#returning.push(...this.#placed.reverse());
    this.#placed = [];
  }

  #formerOf(index: number): Content {
    return this.#believed[index] ?? Content.EMPTY;
  }

  async #putBack(step: Step): Promise<void> {
    await putBack(this.#fs, step);
    if (step.index === undefined) this.#placed = this.#placed.filter(({ path }) => path !== step.path);
    else this.#believed = this.#believed.with(step.index, step.former!.content);
  }
}

function unusable(why: string, path: string): DomainError {
  return new DomainError("NOT_SUPPORTED", why, { metadata: { needs: path } });
}

/** A file that is put into a directory later would be run without being known, so each file is named. HAProxy reads those that end in `.cfg`, hidden ones aside, by the bytes of their names. */
async function namesDirectory(fs: FileSystem, path: string): Promise<DomainError> {
  const names = (await fs.readdir(path)).filter((name) => name.endsWith(".cfg") && !name.startsWith("."));
  const wanted = names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const flags = wanted.map((name) => `--config ${join(path, name)}`).join(" ");
  const how = flags === "" ? "" : `: ${flags}`;
  return unusable(
    `${path} is a directory; haplane has to know every file that HAProxy reads, so name the files in it, in HAProxy's order${how}`,
    path,
  );
}

/** A configuration file keeps the attributes it has. */
function unattributed(content: Content): FileContent {
  return { content, mode: 0o600, owner: undefined };
}

/** The files' content that a document stands for. */
export function printed(document: Document): FilePart[] {
  return document.parts.map(({ path }, part) => new FilePart(path, document.content(part)));
}
