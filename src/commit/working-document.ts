import type { Document } from "../text/document.ts";
import { applyIfPossible, type Edit } from "./edit.ts";
import type { ServerEventFacts } from "./server-event.ts";

/** A place in the sequence of edits; edits made from then on are "since" it. */
export type Position = number;

/** A position that can be gone back to. It moves along when others take edits before it out of the document. */
export interface Pin {
  readonly position: Position;
  /** Whether an edit that was made since can be taken back: not once somebody's edit by hand has been adopted on top of it. */
  canTakeBack(edit: Edit): boolean;
  /** Takes edits made since out of the document. What others made stays; returns those that could not be made without them, which are gone. */
  takeBack(edits: ReadonlySet<Edit>): readonly Edit[];
  release(): void;
}

/** Where a pin is, and the document there. */
interface Pinned {
  position: Position;
  before: Document;
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
  readonly #pins = new Set<Pinned>();
  /** Edits that the worker has not been told in whole, with those of their servers of which it has, if any. */
  readonly #untold = new Map<Edit, Set<string> | undefined>();
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

  /** What the running worker is being told of servers: what it has of them is not known until it has answered. */
  get untold(): readonly ServerEventFacts[] {
    return [...this.#untold].flatMap(([edit, told]) =>
      edit.servers.filter(({ backend, server }) => !told?.has(keyOf(backend, server.name))),
    );
  }

  /** Says that the running worker is being told an edit that was made; `told` says that it has been. */
  goesLive(edit: Edit): void {
    this.#untold.set(edit, undefined);
    const last = this.#last;
    if (last?.edit === edit && last.before === this.#running) this.#running = last.after;
    else this.#running = applyIfPossible(this.#running, edit);
  }

  /** Makes an edit that the running worker is being told. Throws as `apply` does. */
  applyLive(edit: Edit): void {
    this.apply(edit);
    this.goesLive(edit);
  }

  /** Makes several edits that the running worker is being told; `together` does what they do one after another, and sooner. Throws what that throws, and then changes nothing. */
  applyAllLive(edits: readonly Edit[], together: Edit["apply"]): void {
    const before = this.#current;
    const after = together(before);
    this.#running = this.#running === before ? after : edits.reduce(applyIfPossible, this.#running);
    this.#current = after;
    this.#last = undefined;
    for (const edit of edits) {
      this.#edits.push(edit);
      this.#untold.set(edit, undefined);
    }
  }

  /** Says that the worker was told an edit, or never will be. */
  told(edit: Edit): void {
    this.#untold.delete(edit);
  }

  /** Says that the worker was told what some edits say of one server. Others of them may take longer: one that is removed waits for its connections to end. */
  toldOf(edits: Iterable<Edit>, backend: string, name: string): void {
    for (const edit of edits) {
      if (!this.#untold.has(edit)) continue;
      const isAll = edit.servers.every((facts) => facts.backend === backend && facts.server.name === name);
      if (isAll) this.#untold.delete(edit);
      else this.#untold.set(edit, (this.#untold.get(edit) ?? new Set()).add(keyOf(backend, name)));
    }
  }

  /** Says that a worker was started from `document`, which was written before `position`; what was made live since it is about to be told. */
  startedFrom(document: Document, position: Position): void {
    this.#running = this.since(position).reduce(applyIfPossible, document);
  }

  /** The edits made since a position. Throws when they were forgotten. */
  since(position: Position): readonly Edit[] {
    this.#require(position);
    return this.#edits.slice(position - this.#first);
  }

  /** Keeps the edits from the present position on, so that some of them can be taken back, until it is released. */
  pin(): Pin {
    const pin: Pinned = { position: this.position, before: this.#current };
    this.#pins.add(pin);
    return {
      get position() {
        return pin.position;
      },
      canTakeBack: (edit) => this.since(pin.position).includes(edit),
      takeBack: (edits) => this.#remake(pin.before, pin.position, (edit) => !edits.has(edit)),
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
   * Replaces what lies under the edits made since `position`: `base` takes the place of the document as it was then, and the edits are made on it again. What lies before can be gone back to no more.
   * Returns the edits that could not be made any more; they are gone. Throws when the position was forgotten.
   */
  rebase(base: Document, position: Position): readonly Edit[] {
    for (const pin of this.#pins) pin.position = Math.max(pin.position, position);
    return this.#remake(base, position, () => true);
  }

  /** Makes those of the edits since a position that `keep` lets through on another document; the pins among them move along. */
  #remake(base: Document, position: Position, keep: (edit: Edit) => boolean): readonly Edit[] {
    const lost: Edit[] = [];
    const kept: Edit[] = [];
    const former = this.since(position);
    let document = base;
    const moved = new Map<Pinned, Pinned>();
    for (const [index, edit] of [...former, undefined].entries()) {
      for (const pin of this.#pins)
        if (pin.position === position + index)
          moved.set(pin, { position: position + kept.length, before: document });
      if (edit === undefined || !keep(edit)) continue;
      try {
        document = edit.apply(document);
        kept.push(edit);
      } catch {
        lost.push(edit);
      }
    }
    for (const [pin, now] of moved) Object.assign(pin, now);
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

/** No name of HAProxy's has a slash. */
function keyOf(backend: string, server: string): string {
  return `${backend}/${server}`;
}
