import type { Document } from "../text/document.ts";
import type { Edit } from "./edit.ts";

/** A place in the sequence of edits; edits made from then on are "since" it. */
export type Position = number;

/** A position that can be gone back to. */
export interface Pin {
  readonly position: Position;
  /** Takes edits made since out of the document. What others made stays; returns those that could not be made without them, which are gone. */
  takeBack(edits: ReadonlySet<Edit>): readonly Edit[];
  release(): void;
}

/**
 * The document as it is to be, and the edits that led to it from the oldest point that somebody may have to go back to: the last write of the file, the
 * beginning of a group of the reload lane, a pin. Edits are made synchronously: nothing here waits.
 */
export class WorkingDocument {
  #current: Document;
  #running: Document;
  #edits: Edit[] = [];
  #first: Position = 0;
  readonly #pins = new Set<{ readonly position: Position }>();
  /** The last edit, with the documents before and after it. */
  #last: { readonly edit: Edit; readonly before: Document; readonly after: Document } | undefined;

  constructor(document: Document) {
    this.#current = document;
    this.#running = document;
  }

  /** What the file is to hold and HAProxy is to run. */
  get current(): Document {
    return this.#current;
  }

  /** What the worker was started from, with what it was told since: it differs from `current` while a change waits for the disk or for its reload. */
  get running(): Document {
    return this.#running;
  }

  /** Where the next edit goes. */
  get position(): Position {
    return this.#first + this.#edits.length;
  }

  /** Makes an edit. Throws what `edit.apply` throws, and then changes nothing. */
  apply(edit: Edit): void {
    const before = this.#current;
    this.#current = edit.apply(before);
    this.#last = { edit, before, after: this.#current };
    this.#edits.push(edit);
  }

  /** Says that the running worker is being told an edit that was made. */
  goesLive(edit: Edit): void {
    const last = this.#last;
    if (last?.edit === edit && last.before === this.#running) this.#running = last.after;
    else this.#running = applyIfPossible(edit, this.#running);
  }

  /** Makes an edit that the running worker is told at once. Throws as `apply` does. */
  applyLive(edit: Edit): void {
    this.apply(edit);
    this.goesLive(edit);
  }

  /** Says that a worker was started from `document`, which was written before `position`; what was made live since it is about to be told. */
  startedFrom(document: Document, position: Position): void {
    this.#running = this.since(position).reduce((running, edit) => applyIfPossible(edit, running), document);
  }

  /** The edits made since a position. Throws when they were forgotten. */
  since(position: Position): readonly Edit[] {
    this.#require(position);
    return this.#edits.slice(position - this.#first);
  }

  /** Keeps the edits from the present position on, so that some of them can be taken back, until it is released. */
  pin(): Pin {
    const pin = { position: this.position };
    const before = this.#current;
    this.#pins.add(pin);
    return {
      ...pin,
      takeBack: (edits) => this.rebase(before, pin.position, (edit) => !edits.has(edit)),
      release: () => this.#pins.delete(pin),
    };
  }

  /** Lets go of the edits before a position, but for what is pinned. */
  forget(before: Position): void {
    const kept = Math.min(before, ...[...this.#pins].map(({ position }) => position));
    if (kept <= this.#first) return;
    this.#edits.splice(0, kept - this.#first);
    this.#first = kept;
  }

  /**
   * Replaces what lies under the edits made since `position`: `base` takes the place of the document as it was then, and those of the edits that `keep` lets through are made on it again.
   * Returns the edits that could not be made any more; they are gone. Throws when the position was forgotten.
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
    this.#last = undefined;
    return lost;
  }

  #require(position: Position): void {
    if (position < this.#first || position > this.position) {
      throw new RangeError(
        `edits from position ${position} on are not kept (${this.#first} to ${this.position} are)`,
      );
    }
  }
}

function applyIfPossible(edit: Edit, document: Document): Document {
  try {
    return edit.apply(document);
  } catch {
    return document;
  }
}
