import type { Extent } from "../config/apply-changes.ts";
import { DomainError } from "../lib/errors.ts";
import { Serial } from "../lib/serial.ts";
import type { NewTransactionWrite, Operation, StoredTransaction } from "../store/operations.ts";
import type { Staged, StagedEdit, Subject } from "./transaction-subject.ts";

/** How much may be staged in one. */
const MAX_STAGED = { writes: 10_000, bytes: 64 * 1024 * 1024 };
/** After so many staged writes others are let run. */
const FEW_WRITES = 64;

/** A transaction as others see it. */
export interface TransactionView<D> extends StoredTransaction {
  readonly writes: number;
  /** Names of the resources that it writes. */
  readonly resources: readonly string[];
  /** Resources that others have changed since, so that a commit would fail. */
  readonly conflicts: readonly string[];
  /** What it began with, and what was made of it. */
  readonly base: D;
  readonly document: D;
}

/** What a resource was when it was first written or guarded. */
interface Guarded {
  readonly name: string;
  readonly extent: Extent;
  readonly fingerprint: string;
  readonly written: boolean;
}

/** A write in a transaction. */
interface StagedWrite<I> {
  readonly input: I;
  /** Size of its encoded form. */
  readonly bytes: number;
  /** What it was the first to write or guard. */
  readonly guards: readonly Guarded[];
}

/** A write that was tried on a transaction, to be kept when it is durable. */
export interface TriedWrite<D, I> {
  readonly document: D;
  readonly write: StagedWrite<I>;
}

/** One transaction: a snapshot of the subject's document with writes staged on it. What is durable of it is the business of whoever keeps it. */
export class OpenTransaction<D, I, C extends Staged<D>, O> {
  /** Calls that change it, one after another. */
  readonly serial = new Serial();
  /** What the store has of it, beside the writes. */
  stored: StoredTransaction;
  /** It was committed, aborted or forgotten. */
  ended = false;
  /** Calls that change it and run, or wait for their turn: it does not expire under them. */
  uses = 0;
  readonly #subject: Subject<D, I, C, O>;
  readonly #base: D;
  readonly #staged: StagedWrite<I>[] = [];
  readonly #guarded = new Map<string, Guarded>();
  #document: D;
  #broken: DomainError | undefined;

  constructor(subject: Subject<D, I, C, O>, stored: StoredTransaction) {
    this.#subject = subject;
    this.stored = stored;
    this.#base = subject.document;
    this.#document = subject.document;
  }

  /** Why what was staged before a restart cannot be shown on what has become of the document. */
  get broken(): DomainError | undefined {
    return this.#broken;
  }

  /** The document with what is staged. Throws why it cannot be shown. */
  get document(): D {
    if (this.#broken !== undefined) throw this.#broken;
    return this.#document;
  }

  /** Names of the resources that it writes. */
  get written(): readonly string[] {
    return [...this.#guarded.values()].filter(({ written }) => written).map(({ name }) => name);
  }

  /** What others see of it. */
  get view(): TransactionView<D> {
    return {
      ...this.stored,
      ...{ writes: this.#staged.length, base: this.#base, document: this.#document },
      resources: this.written,
      conflicts: this.#conflicts(this.#subject.document),
    };
  }

  /** Takes a write that was staged before a restart. */
  restore({ request, guards }: Pick<NewTransactionWrite, "request" | "guards">): void {
    const input = this.#subject.decode(request);
    const own = JSON.parse(Buffer.from(guards).toString("utf8")) as Guarded[];
    this.#remember({ input, bytes: request.length, guards: own });
    try {
      this.#document = this.#subject.apply(this.#document, input, true).document;
    } catch (error) {
      this.#broken = this.#unfit(error);
    }
  }

  /** Makes a write on top of what is staged. Rejects with what the write throws. */
  make(input: I): Promise<C> {
    return this.#applyGently(this.document, input, false);
  }

  /** What is to be kept of a write that was made. Throws `LIMIT_EXCEEDED`. */
  tried(input: I, changed: C): TriedWrite<D, I> {
    const bytes = this.#subject.encode(input).length;
    const total = this.#staged.reduce((sum, write) => sum + write.bytes, bytes);
    if (this.#staged.length >= MAX_STAGED.writes || total > MAX_STAGED.bytes)
      throw new DomainError("LIMIT_EXCEEDED", "the transaction holds as much as it may; commit it", {
        metadata: { limit: `${MAX_STAGED.writes} writes, ${MAX_STAGED.bytes} bytes` },
      });
    return {
      document: changed.document,
      write: { input, bytes, guards: this.#newGuards(changed, input) },
    };
  }

  /** Names of the resources that it writes, with a write that is not kept yet. */
  writtenWith({ write: { guards } }: TriedWrite<D, I>): readonly string[] {
    const added = guards.filter(({ written }) => written).map(({ name }) => name);
    return [...new Set([...this.written, ...added])];
  }

  /** Stores a write behind those that are kept. */
  storing({ write }: TriedWrite<D, I>): Operation {
    return this.#append(write, this.#staged.length + 1);
  }

  /** Stores all writes that are kept. */
  storingAll(): Operation[] {
    return this.#staged.map((write, index) => this.#append(write, index + 1));
  }

  /** Takes a write that is durable. */
  keep({ document, write }: TriedWrite<D, I>): void {
    this.#document = document;
    this.#remember(write);
  }

  /** What is staged, as an edit, which throws `CONFLICT` on a document that is not as the transaction knew it where that matters. It is not made a second time on the document that it was last prepared for. */
  edit(): Pick<StagedEdit<D>, "apply" | "prepare"> {
    let prepared: { readonly document: D; readonly rebased: D } | undefined;
    return {
      apply: (document) => (prepared?.document === document ? prepared.rebased : this.#rebased(document)),
      prepare: async (document) => {
        if (prepared?.document !== document)
          prepared = { document, rebased: await this.#rebasedGently(document) };
      },
    };
  }

  get #resource() {
    return { type: "transaction", name: this.stored.name };
  }

  #rebased(document: D): D {
    this.#refuseConflicts(document);
    try {
      return this.#staged.reduce((on, { input }) => this.#subject.apply(on, input, true).document, document);
    } catch (error) {
      throw this.#unfit(error);
    }
  }

  async #rebasedGently(document: D): Promise<D> {
    this.#refuseConflicts(document);
    let on = document;
    for (const [index, { input }] of this.#staged.entries()) {
      const { document: made } = await this.#applyGently(on, input, true).catch((error: unknown) => {
        throw this.#unfit(error);
      });
      on = made;
      if (index % FEW_WRITES === FEW_WRITES - 1) await new Promise(setImmediate);
    }
    return on;
  }

  async #applyGently(document: D, input: I, again: boolean): Promise<C> {
    const subject = this.#subject;
    return subject.applyGently?.(document, input, again) ?? subject.apply(document, input, again);
  }

  #remember(write: StagedWrite<I>): void {
    this.#staged.push(write);
    for (const guard of write.guards) this.#guarded.set(guard.name, guard);
  }

  #append({ input, guards }: StagedWrite<I>, number: number): Operation {
    return {
      kind: "append-transaction-write",
      write: {
        ...{ transaction: this.stored.name, number, request: this.#subject.encode(input) },
        guards: Buffer.from(JSON.stringify(guards)),
      },
    };
  }

  /** What was staged was right once. When it cannot be made any more, others have changed what it stands on: the section that a server is in, a backend that a rule names. */
  #unfit(error: unknown): DomainError {
    if (!(error instanceof DomainError)) throw error;
    const { message, violations, resource } = error;
    const resources = resource?.name ?? violations.map(({ field }) => field).join(", ");
    return new DomainError(
      "CONFLICT",
      `what was staged does not fit ${this.#subject.title} any more: ${message}`,
      { resource: this.#resource, violations, metadata: { resources }, cause: error },
    );
  }

  #refuseConflicts(document: D): void {
    const conflicts = this.#conflicts(document);
    if (conflicts.length === 0) return;
    const more = conflicts.length > 3 ? ` and ${conflicts.length - 3} more` : "";
    throw new DomainError(
      "CONFLICT",
      `others have changed ${conflicts.slice(0, 3).join(", ")}${more} since the transaction first wrote or guarded it`,
      { resource: this.#resource, metadata: { resources: conflicts.join(", ") } },
    );
  }

  #conflicts(document: D): string[] {
    return [...this.#guarded.values()]
      .filter(
        ({ name, extent, fingerprint }) => this.#subject.fingerprint(document, name, extent) !== fingerprint,
      )
      .map(({ name }) => name);
  }

  /** What is written or guarded for the first time, as the transaction's base has it. */
  #newGuards({ touched }: C, input: I): Guarded[] {
    const wanted = new Map<string, { extent: Extent; written: boolean }>();
    for (const [name, extent] of touched) wanted.set(name, { extent, written: true });
    for (const name of this.#subject.guarded(input))
      if (!wanted.has(name)) wanted.set(name, { extent: "own", written: false });
    return [...wanted].flatMap(([name, { extent, written }]) => {
      const known = this.#guarded.get(name);
      if (
        known !== undefined &&
        (known.written || !written) &&
        (known.extent === "whole" || extent === "own")
      )
        return [];
      return [{ name, extent, written, fingerprint: this.#subject.fingerprint(this.#base, name, extent) }];
    });
  }
}
