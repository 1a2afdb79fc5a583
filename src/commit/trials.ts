import { type ConfigurationAlert, DomainError } from "../lib/errors.ts";
import { Serial } from "../lib/serial.ts";
import type { Document } from "../text/document.ts";
import { FileDraft } from "./attached-files.ts";
import { checkCandidate } from "./candidate.ts";
import type { Classification } from "./classify.ts";
import { type Edit, prepare } from "./edit.ts";
import { judge, NOTHING } from "./judgement.ts";
import type { CommitParts } from "./parts.ts";
import { requireStartable } from "./start-conditions.ts";

/** How many changes may be tried at a time. */
const MAX_TRIED = 32;

/** Nobody ends such a check before its deadline. */
const NEVER = new AbortController().signal;

/** What a change would do. */
export interface Trial {
  readonly before: Document;
  readonly after: Document;
  readonly classification: Classification;
  /** What HAProxy warns of. */
  readonly warnings: readonly ConfigurationAlert[];
}

/** Changes that are tried out: every check is made, and nothing is changed. */
export class Trials {
  readonly #options: CommitParts;
  readonly #turns = new Serial();
  readonly #texts = new Serial();
  /** Trials that run or wait for their check. */
  #count = 0;

  constructor(options: CommitParts) {
    this.#options = options;
  }

  /** Tries a change. Rejects with what the edit throws, with what HAProxy's check does, and with `LIMIT_EXCEEDED`, before any work is done. */
  async try(edit: Edit): Promise<Trial> {
    if (this.#count >= MAX_TRIED) {
      throw new DomainError("LIMIT_EXCEEDED", "too many changes are being validated; try again", {
        metadata: { limit: String(MAX_TRIED) },
        retryAfterMs: 1_000,
      });
    }
    this.#count += 1;
    try {
      return await this.#try(edit);
    } finally {
      this.#count -= 1;
    }
  }

  async #try(edit: Edit): Promise<Trial> {
    await prepare(edit, this.#options.working);
    const { judged, changes } = await this.#judge(edit);
    const { before } = judged;
    if (judged.kind === "unchanged") return { before, after: before, classification: NOTHING, warnings: [] };
    const { after, classification } = judged;
    // Nothing depends on it, so it leaves the processors to others: one at a time.
    const warnings = await this.#turns.run(async () => {
      await requireStartable(this.#options.fs, after);
      return unlessUnknown(checkCandidate(this.#options, after, NEVER, changes));
    });
    return { before, after, classification, warnings };
  }

  /** Has HAProxy's check read what would be written without a reload, and so without a check: one at a time, but none waits for what is only tried. Where no binary is known nobody can be asked. */
  checkText(edit: Edit): Promise<void> {
    return this.#texts.run(async () => {
      const { judged, changes } = await this.#judge(edit);
      if (judged.kind !== "runtime") return;
      await unlessUnknown(checkCandidate(this.#options, judged.after, NEVER, changes));
    });
  }

  /** What an edit would do to what there is now, and to files beside it. */
  async #judge(edit: Edit) {
    const { working, fs, haproxy } = this.#options;
    const draft = await FileDraft.over(fs, [edit]);
    draft.make(edit);
    const { changes } = draft;
    const moment = { running: working.running, before: working.current };
    return { judged: judge(haproxy, moment, edit, changes), changes };
  }
}

/** What a check says; nothing where no binary is known that could be asked. */
async function unlessUnknown(
  check: Promise<readonly ConfigurationAlert[]>,
): Promise<readonly ConfigurationAlert[]> {
  try {
    return await check;
  } catch (error) {
    if (error instanceof DomainError && error.reason === "NOT_SUPPORTED") return [];
    throw error;
  }
}
