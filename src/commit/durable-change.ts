import type { Place } from "../lib/durable-file.ts";
import type { Operation } from "../store/operations.ts";
import type { AttachedChange } from "./attached-files.ts";
import type { FilePart, StagedFiles } from "./config-files.ts";
import type { Edit } from "./edit.ts";
import type { Entry } from "./history.ts";
import type { CommitParts } from "./parts.ts";

/** What a durable change works on. */
export type ChangeParts = Pick<CommitParts, "store" | "files" | "writer" | "working" | "history" | "logger">;

/** What the files are to hold. */
export interface NextFiles {
  /** The configuration's. */
  readonly next: readonly FilePart[];
  /** Others that change along with it. Default: none. */
  readonly attached?: readonly AttachedChange[];
  /** Where the configuration's files lie, if that was asked for a moment ago. */
  readonly places?: Promise<readonly Place[]>;
  /** The edits that lead to it. Default: none that keep anything along with their revision. */
  readonly edits?: readonly Edit[];
}

/**
 * One change of the files that a crash may interrupt anywhere: *announced* in the store with the former content and *staged* beside the files, then *placed*, then *recorded* as a
 * revision together with the end of the announcement, or *undone*. Made inside the writer's turn. Whoever makes one ends it: by `record`, `close` or `undo`.
 */
export class DurableChange {
  readonly #parts: ChangeParts;
  readonly #end: Operation;
  #staged: StagedFiles | undefined;

  private constructor(parts: ChangeParts, intent: string, staged: StagedFiles | undefined) {
    this.#parts = parts;
    this.#end = { kind: "finish-intent", id: intent };
    this.#staged = staged;
  }

  /**
   * Announces what the files are about to hold, in one transaction with other operations, and meanwhile stages it. What lies beside files that are not the configuration's is only found again by the announcement,
   * so those are staged when that is durable. Nothing is left of it when this rejects.
   */
  static async begin(
    parts: ChangeParts,
    { next, attached = [], edits, places }: NextFiles,
    operations: readonly Operation[] = [],
  ): Promise<DurableChange> {
    const { store, files, writer, history } = parts;
    const announce = async () => {
      const intent = history.intent(files.believed, next, "put-back", attached, edits);
      await store.write([{ kind: "begin-intent", intent }, ...operations]);
      return intent.id;
    };
    // First what the disk has to do: the intent is made meanwhile.
    const begun = attached.length === 0 ? files.stage(next, [], places) : undefined;
    const announcing = announce();
    const staging = begun ?? announcing.then(() => files.stage(next, attached, places));
    const [announced, staged] = await Promise.allSettled([announcing, staging]);
    if (announced.status === "rejected") {
      if (staged.status === "fulfilled") await files.discard(staged.value);
      throw announced.reason;
    }
    if (staged.status === "fulfilled") return new DurableChange(parts, announced.value, staged.value);
    writer.owe([{ kind: "finish-intent", id: announced.value }]);
    throw staged.reason;
  }

  /** Announces what somebody has written into the files already: HAProxy has to take it. It is never undone. */
  static async found(parts: ChangeParts, found: readonly FilePart[]): Promise<DurableChange> {
    const { store, files, history } = parts;
    const intent = history.intent(files.believed, found, "leave", []);
    await store.write([{ kind: "begin-intent", intent }]);
    return new DurableChange(parts, intent.id, undefined);
  }

  /** Stages something else instead: the document went on. */
  async restage({ next, attached }: NextFiles): Promise<void> {
    await this.#discard();
    this.#staged = await this.#parts.files.stage(next, attached);
  }

  /** Puts what was staged in place. `foreign`: somebody else has changed a file, and all of them are as before. */
  async place(): Promise<"placed" | "foreign"> {
    const staged = this.#staged;
    this.#staged = undefined;
    if (staged === undefined) return "placed";
    return (await this.#parts.files.place(staged)).kind === "foreign" ? "foreign" : "placed";
  }

  /** Appends the revision, and ends the announcement in the same transaction. Rejects as `History.append` does, and can then be tried again or be undone. */
  async record(entry: Omit<Entry, "parts">): Promise<void> {
    const ended = (revision: number) => [...(entry.with?.(revision) ?? []), this.#end];
    await this.recordUntold([{ ...entry, parts: this.#parts.files.believed, with: ended }]);
  }

  /** Appends revisions alone, the last of which is what the files hold, and answers their numbers: HAProxy has not been told yet, so a crash has to find the announcement. To be ended by `owe`. */
  async recordUntold(entries: readonly Entry[]): Promise<readonly number[]> {
    const { history, files } = this.#parts;
    const numbers = await history.appendAll(entries);
    files.keepAttached();
    return numbers;
  }

  /** Ends it without a revision, with other operations, now or with the writer's next try: nothing was placed, or it is in the history already. */
  async close(operations: readonly Operation[] = []): Promise<void> {
    await this.#discard();
    this.#parts.files.keepAttached();
    const ended = [...operations, this.#end];
    await this.#parts.store.write(ended).catch(() => this.#parts.writer.owe(ended));
  }

  /** Leaves its end, with other operations, to the writer's next turn: nobody waits for it. */
  owe(operations: readonly Operation[] = []): void {
    this.#parts.files.keepAttached();
    this.#parts.writer.owe([...operations, this.#end]);
  }

  /** Puts the files back to what the document, from which the change was taken, says now, and ends it. Where that fails, the writer goes on trying, and it ends only then. */
  async undo(operations: readonly Operation[] = []): Promise<void> {
    const { files, working, writer, logger } = this.#parts;
    files.returnAttached();
    try {
      await this.#discard();
      const outcome = await files.write(working.current);
      if (outcome.kind !== "foreign") {
        await this.close(operations);
        writer.touch();
        return;
      }
    } catch (error) {
      logger.error({ err: error }, "the configuration file could not be put back; it is tried again");
    }
    writer.restore();
    this.owe(operations);
  }

  async #discard(): Promise<void> {
    const staged = this.#staged;
    this.#staged = undefined;
    if (staged !== undefined) await this.#parts.files.discard(staged);
  }
}
