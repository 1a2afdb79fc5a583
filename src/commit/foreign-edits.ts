import { type FSWatcher, watch } from "node:fs";
import { basename, dirname } from "node:path";
import { formatName } from "../config/name.ts";
import { DomainError } from "../lib/errors.ts";
import { Document } from "../text/document.ts";
import { checkCandidate } from "./candidate.ts";
import { serverChanges } from "./classify.ts";
import { DurableChange } from "./durable-change.ts";
import type { Edit } from "./edit.ts";
import type { CommitParts } from "./parts.ts";
import type { ReloadLane } from "./reload-lane.ts";
import { standBack, standIn } from "./stand-in.ts";

/** An editor writes in several steps; it is looked at this long after the last of them. */
const SETTLE_MS = 150;

/** An edit of which nothing could be found out is looked at again after this long. */
const RETRY_MS = { first: 1_000, most: 30_000 };

/** What it is given. */
export interface ForeignEditsOptions extends CommitParts {
  readonly reloads: ReloadLane;
  /** Called when servers or backends may have changed by somebody else's edit. */
  readonly onAdopted: () => void;
}

/**
 * The file belongs to people too. What somebody else wrote is noticed by content, checked, and adopted: it becomes the base, edits of ours that were not in the file yet are made on it again,
 * and HAProxy is reloaded. While HAProxy refuses it, nothing of ours is written, and changes that need a reload are refused.
 */
export class ForeignEdits {
  readonly #options: ForeignEditsOptions;
  readonly #stopping = new AbortController();
  #watchers: FSWatcher[] = [];
  #cancelLook: (() => void) | undefined;
  #retryMs = RETRY_MS.first;

  constructor(options: ForeignEditsOptions) {
    this.#options = options;
  }

  /** Begins to watch the files' directories: where they are, and where symbolic links to them stand. */
  async start(): Promise<void> {
    const { files, fs, logger } = this.#options;
    const names = new Map<string, Set<string>>();
    for (const path of files.paths)
      for (const place of [path, await fs.realpath(path).catch(() => path)])
        names.set(dirname(place), (names.get(dirname(place)) ?? new Set()).add(basename(place)));
    for (const [directory, own] of names) {
      const watcher = watch(directory, (_event, name) => {
        if (name === null || own.has(name)) this.#lookSoon();
      });
      watcher.on("error", (error) =>
        logger.warn(
          { err: error, directory },
          "the directory cannot be watched; edits by hand are noticed at our next write",
        ),
      );
      this.#watchers.push(watcher);
    }
  }

  /** Stops watching. */
  stop(): void {
    this.#stopping.abort();
    this.#cancelLook?.();
    for (const watcher of this.#watchers) watcher.close();
  }

  /** Looks now; resolves when what was found runs, is held, or will be looked at again. `asked`: somebody wants it to be taken over, whatever the policy. */
  async look(asked = false): Promise<void> {
    await (await this.takeOver(asked)).running;
  }

  /** The same, but for the reload: `running` resolves when that has ended. */
  async takeOver(asked = false): Promise<{ readonly running: Promise<void> }> {
    try {
      const adopted = await this.#options.writer.exclusive(() => this.#adopt(asked));
      this.#retryMs = RETRY_MS.first;
      return { running: adopted === undefined ? Promise.resolve() : this.#run(adopted) };
    } catch (error) {
      // Nothing is known of the edit: the check did not end, the store or the disk fails. Nothing of ours is written meanwhile.
      if (!this.#stopping.signal.aborted) {
        this.#options.logger.error(
          { err: error },
          "an edit by hand could not be looked at; it is tried again",
        );
        this.#lookIn(this.#retryMs);
        this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.most);
      }
      return { running: Promise.resolve() };
    }
  }

  async #run(adopted: DurableChange): Promise<void> {
    const { reloads, logger } = this.#options;
    await reloads.submit(undefined, "the configuration file was edited by hand").catch((error: unknown) => {
      if (!this.#stopping.signal.aborted)
        logger.error({ err: error }, "HAProxy does not run an edit by hand that its check accepted");
    });
    await adopted.close();
  }

  #lookSoon(): void {
    this.#lookIn(SETTLE_MS);
  }

  #lookIn(ms: number): void {
    if (this.#stopping.signal.aborted) return;
    this.#cancelLook?.();
    this.#cancelLook = this.#options.clock.after(ms, () => void this.look());
  }

  async #adopt(asked: boolean): Promise<DurableChange | undefined> {
    const { working, files, writer, history, logger, policy, onAdopted } = this.#options;
    if (!(await files.isForeign())) {
      if (!policy.readOnly) await this.#release();
      return undefined;
    }
    const found = await files.peek().catch(async (error: unknown) => {
      if (!(error instanceof DomainError && error.reason === "NOT_SUPPORTED")) throw error;
      await this.#hold(error);
    });
    if (found === undefined) return undefined;
    if (policy.readOnly) {
      await history.append({
        parts: found.parts,
        lane: "external",
        edits: [externalEdit(Document.parse(files.believed), found.document)],
      });
      files.believe(found.parts);
      working.rebase(found.document, working.position);
      onAdopted();
      return undefined;
    }
    if (files.state.kind === "ours") files.state = { kind: "foreign" };
    try {
      await checkCandidate(this.#options, found.document, this.#stopping.signal);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      if (error.reason === "CONFIGURATION_REFUSED") {
        await this.#hold(error);
        return undefined;
      }
      if (error.reason !== "NOT_SUPPORTED") throw error;
    }
    if (!asked && policy.externalEdits === "hold") {
      await this.#hold(new DomainError("FILE_HELD", "edits by hand wait until somebody asks for a reload"));
      return undefined;
    }
    const change = await DurableChange.found(this.#options, found.parts);
    await history.append({
      parts: found.parts,
      lane: "external",
      edits: [externalEdit(Document.parse(files.believed), found.document)],
    });
    files.believe(found.parts);
    const lost = working.rebase(found.document, writer.written);
    if (lost.length > 0) {
      logger.warn(
        { edits: lost.map(({ message }) => message) },
        "changes that were not in the file yet do not fit the edit by hand",
      );
    }
    await this.#release();
    onAdopted();
    return change;
  }

  async #hold(error: unknown): Promise<void> {
    const alerts = error instanceof DomainError ? error.alerts : [];
    const why = error instanceof Error ? error.message : String(error);
    const held = new DomainError(
      "FILE_HELD",
      `the configuration file was edited by hand, so nothing is written for now: ${why}`,
      { alerts, cause: error },
    );
    this.#options.files.state = { kind: "held", why: held };
    this.#options.logger.error({ alerts }, held.message);
    await standIn(this.#options);
  }

  async #release(): Promise<void> {
    const { files, writer, logger } = this.#options;
    if (files.state.kind === "held") {
      logger.info("the configuration file can be used again");
      await standBack(this.#options);
    }
    files.state = { kind: "ours" };
    writer.touch();
  }
}

/** What the files held before there was a history: its first revision, which nobody made. */
export function foundAtStart(document: Document): Edit {
  return { ...externalEdit(document, document), message: "found at the first start" };
}

/** Somebody else's edit, as the history tells it: what the files hold now, and what they held when they were last looked at. */
function externalEdit(before: Document, document: Document): Edit {
  const servers = serverChanges(before, document);
  return {
    apply: () => document,
    resources: servers.map(({ backend, server }) => formatName("backends", backend, "servers", server.name)),
    author: "external",
    message: "edited by hand",
    servers,
  };
}
