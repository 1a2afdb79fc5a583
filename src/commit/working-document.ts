import type { Document } from "../text/document.ts";
import type { Edit } from "./edit.ts";

/** A place in the sequence of edits; edits made from then on are "since" it. */
export type Position = number;

/**
 * The document as it is to be, and the edits that led to it from the oldest point that somebody may have to go back to: the last write of the file, or the
 * beginning of a group of the reload lane. Edits are made synchronously: nothing here waits.
 */
export class WorkingDocument {
  #current: Document;
  #running: Document;
  #edits: Edit[] = [];
  #first: Position = 0;

  constructor(document: Document) {
    this.#current = document;
    this.#running = document;
  }

  /** What the file is to hold and HAProxy is to run. */
  get current(): Document {
    return this.#current;
  }

  /** What the worker was started from, with what it was told since: it differs from `current` while a group or an edit by hand waits for its reload. */
  get running(): Document {
    return this.#running;
  }

  /** Where the next edit goes. */
  get position(): Position {
    return this.#first + this.#edits.length;
  }

  /** Makes an edit. Throws what `edit.apply` throws, and then changes nothing. */
  apply(edit: Edit): void {
    this.#current = edit.apply(this.#current);
    this.#edits.push(edit);
  }

  /** Makes an edit that the running worker follows too. Throws as `apply` does. */
  applyLive(edit: Edit): void {
    const inStep = this.#running === this.#current;
    this.apply(edit);
    this.#running = inStep ? this.#current : applyIfPossible(edit, this.#running);
  }

  /** Says that a worker was started from `document`, which was written before `position`; what was made live since it is about to be told. */
  startedFrom(document: Document, position: Position): void {
    this.#running = this.since(position).reduce((running, edit) => applyIfPossible(edit, running), document);
  }

  /** The edits made since a position that was not forgotten. */
  since(position: Position): readonly Edit[] {
    return this.#edits.slice(position - this.#first);
  }

  /** Lets go of the edits before a position. */
  forget(before: Position): void {
    this.#edits.splice(0, Math.max(0, before - this.#first));
    this.#first = Math.max(this.#first, before);
  }

  /**
   * Replaces what lies under the edits made since `position`: `base` takes the place of the document as it was then, and those of the edits that `keep` lets through are made on it again.
   * Returns the edits that could not be made any more; they are gone.
   */
  rebase(base: Document, position: Position, keep: (edit: Edit) => boolean = () => true): readonly Edit[] {
    const lost: Edit[] = [];
    const kept: Edit[] = [];
    let document = base;
    for (const edit of this.since(position).filter(keep)) {
      try {
        document = edit.apply(document);
        kept.push(edit);
      } catch {
        lost.push(edit);
      }
    }
    this.#edits.splice(position - this.#first, Infinity, ...kept);
    this.#current = document;
    return lost;
  }
}

function applyIfPossible(edit: Edit, document: Document): Document {
  try {
    return edit.apply(document);
  } catch {
    return document;
  }
}
