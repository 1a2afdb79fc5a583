import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import type { Extent } from "../config/apply-changes.ts";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import { Serial } from "../lib/serial.ts";
import type { Operation, StoredTransaction } from "../store/operations.ts";
import type { Store } from "../store/store.ts";
import type { Along } from "./edit.ts";
import { type TransactionStep, tellTransaction } from "./transaction-event.ts";

/** How many transactions an owner may have open. */
export const MAX_OPEN = 10;
/** How much may be staged in one. */
export const MAX_STAGED = { writes: 10_000, bytes: 64 * 1024 * 1024 };
/** After so many staged writes others are let run. */
const FEW_WRITES = 64;
/** How many names of transactions that expired are remembered, to tell those who come late. */
const MAX_EXPIRED = 1_000;

/** What a write leads to. */
export interface Staged<D> {
  readonly document: D;
  /** Names of the resources that it writes, and how much of each matters to it. */
  readonly touched: ReadonlyMap<string, Extent>;
}

/** How a commit is made. */
export interface CommitRequest {
  readonly validateOnly: boolean;
  /** When given, the newest revision must be this one. */
  readonly baseRevision?: number;
  readonly message: string;
  /** What is kept along with the commit's revision. Default: nothing. */
  readonly along?: Along;
}

/** What transactions are about: a document `D` that is written by inputs `I`. A write gives `C`, a commit `O`. */
export interface Subject<D, I, C extends Staged<D>, O> {
  /** Begins the names of its transactions. */
  readonly prefix: string;
  /** For people: "the configuration". */
  readonly title: string;
  readonly document: D;
  /** Number of the newest revision. */
  readonly revision: number;
  /** Makes a write. `again`: it was accepted before, so that its etags and guards do not count any more. */
  apply(document: D, input: I, again: boolean): C;
  /** The same, letting others run meanwhile. Default: writes are small. */
  applyGently?(document: D, input: I, again: boolean): Promise<C>;
  /** Names of the resources that a write guards without writing them. */
  guarded(input: I): readonly string[];
  /** What a resource is: equal as long as nothing of it changes. */
  fingerprint(document: D, name: string, extent: Extent): string;
  encode(input: I): Uint8Array;
  decode(bytes: Uint8Array): I;
  /** Makes the writes on the newest document, which `edit` does, and that the subject. */
  commit(
    edit: {
      apply(document: D): D;
      /** See `Edit.prepare`. */
      prepare(document: D): Promise<void>;
      readonly resources: readonly string[];
      readonly author: string;
      /** The end of the transaction, for a commit that can make it one with its revision. */
      readonly along: Along;
    },
    request: CommitRequest,
  ): Promise<O>;
}

/** What they are built from. */
export interface TransactionsOptions<D, I, C extends Staged<D>, O> {
  readonly subject: Subject<D, I, C, O>;
  readonly store: Pick<Store, "write" | "transactions">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Who uses a transaction. */
export interface TransactionUser {
  readonly name: string;
  /** An admin may end what belongs to others. */
  readonly isAdmin: boolean;
}

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

interface Open<D, I> {
  stored: StoredTransaction;
  /** Calls that change it, one after another. */
  readonly serial: Serial;
  readonly base: D;
  document: D;
  /** Why what was staged before a restart cannot be shown on what has become of the document. */
  broken: DomainError | undefined;
  readonly staged: StagedWrite<I>[];
  readonly guarded: Map<string, Guarded>;
  ended: boolean;
  /** Its end is told together with its revision. */
  told: boolean;
}

/**
 * The open transactions. Each is a snapshot of the document with writes staged on it; nothing is locked. A commit makes the writes again on the newest document, provided that nobody has
 * changed what they write or guard. They are kept in the store, so that a restart does not end them.
 */
export class Transactions<D, I, C extends Staged<D>, O> {
  readonly #options: TransactionsOptions<D, I, C, O>;
  readonly #subject: Subject<D, I, C, O>;
  readonly #open = new Map<string, Open<D, I>>();
  readonly #expired = new Set<string>();
  #cancelSweep: (() => void) | undefined;

  constructor(options: TransactionsOptions<D, I, C, O>) {
    this.#options = options;
    this.#subject = options.subject;
  }

  /** Reads those that a former run left open. */
  async start(): Promise<void> {
    const { store, clock, logger } = this.#options;
    const gone: string[] = [];
    for (const { writes, ...stored } of await store.transactions()) {
      if (!stored.name.startsWith(this.#subject.prefix)) continue;
      if (stored.expireTime <= clock.now()) {
        gone.push(stored.name);
        continue;
      }
      const open = this.#begun(stored, this.#subject.document);
      for (const { request, guards } of writes) {
        const input = this.#subject.decode(request);
        const own = JSON.parse(Buffer.from(guards).toString("utf8")) as Guarded[];
        open.staged.push({ input, bytes: request.length, guards: own });
        for (const guard of own) open.guarded.set(guard.name, guard);
        this.#replay(open, input);
      }
      if (open.broken !== undefined)
        logger.warn(
          { transaction: stored.name, err: open.broken },
          `a transaction does not fit ${this.#subject.title} any more`,
        );
      this.#open.set(stored.name, open);
    }
    for (const name of gone) this.#expire(name, []);
    this.#sweepLater();
  }

  /** Lets go of the clock. */
  stop(): void {
    this.#cancelSweep?.();
  }

  /** Begins a transaction. Throws `LIMIT_EXCEEDED` when the owner has too many. */
  async begin(owner: string, idleMs: number): Promise<TransactionView<D>> {
    const { clock, store } = this.#options;
    const own = [...this.#open.values()].filter(({ stored }) => stored.owner === owner).length;
    if (own >= MAX_OPEN) {
      throw new DomainError(
        "LIMIT_EXCEEDED",
        `${owner} has ${own} transactions open; commit or abort one first`,
        {
          metadata: { limit: `${MAX_OPEN} open transactions of one owner` },
        },
      );
    }
    const now = clock.now();
    const stored: StoredTransaction = {
      name: `${this.#subject.prefix}${randomBytes(9).toString("hex")}`,
      ...{ owner, idleMs, createTime: now, expireTime: now + idleMs, baseRevision: this.#subject.revision },
    };
    const open = this.#begun(stored, this.#subject.document);
    this.#open.set(stored.name, open);
    try {
      await store.write([
        { kind: "put-transaction", transaction: stored },
        this.#told(asTold(open), "open", owner),
      ]);
    } catch (error) {
      this.#open.delete(stored.name);
      throw error;
    }
    this.#sweepLater();
    return this.#view(open);
  }

  /** Throws `RESOURCE_NOT_FOUND` or `TRANSACTION_EXPIRED`. Looking does not count as use. */
  get(name: string): TransactionView<D> {
    return this.#view(this.#find(name));
  }

  /** The open ones, the oldest first. */
  list(): readonly TransactionView<D>[] {
    this.#dropExpired();
    return [...this.#open.values()]
      .sort((a, b) => a.stored.createTime - b.stored.createTime || (a.stored.name < b.stored.name ? -1 : 1))
      .map((open) => this.#view(open));
  }

  /** The document as a transaction has it, for reading. Counts as use. */
  read(name: string, user: TransactionUser): { readonly document: D; readonly baseRevision: number } {
    const open = this.#findOwn(name, user);
    if (open.broken !== undefined) throw open.broken;
    this.#renew(open);
    return { document: open.document, baseRevision: open.stored.baseRevision };
  }

  /** Stages a write; durable when it resolves. Throws what the write throws, and `LIMIT_EXCEEDED`. With `keep` false it is tried only. */
  stage(name: string, user: TransactionUser, input: I, keep: boolean): Promise<C> {
    return this.#findOwn(name, user).serial.run(async () => {
      const open = this.#findOwn(name, user);
      if (open.broken !== undefined) throw open.broken;
      const { store } = this.#options;
      const changed = await this.#applyGently(open.document, input, false);
      if (!keep) return changed;
      const bytes = this.#subject.encode(input).length;
      this.#checkRoom(open, bytes);
      const guards = this.#newGuards(open, changed, input);
      const write: StagedWrite<I> = { input, bytes, guards };
      const renewed = this.#renewed(open);
      await store.write([
        this.#staging(name, open.staged.length + 1, write),
        { kind: "put-transaction", transaction: renewed },
        this.#told({ stored: renewed, guarded: [...open.guarded.values(), ...guards] }, "staged", user.name),
      ]);
      open.stored = renewed;
      open.document = changed.document;
      open.staged.push(write);
      for (const guard of guards) open.guarded.set(guard.name, guard);
      return changed;
    });
  }

  /** Makes what was staged the document. Throws `CONFLICT`, and what the subject's commit throws; the transaction is then open still. */
  commit(name: string, user: TransactionUser, request: CommitRequest): Promise<O> {
    return this.#findOwn(name, user).serial.run(async () => {
      const open = this.#findOwn(name, user);
      const { store } = this.#options;
      const { validateOnly, message } = request;
      this.#renew(open);
      const written = [...open.guarded.values()].filter((guard) => guard.written).map((guard) => guard.name);
      let prepared: { readonly document: D; readonly rebased: D } | undefined;
      const edit = {
        apply: (document: D) =>
          prepared?.document === document ? prepared.rebased : this.#rebased(open, document),
        prepare: async (document: D) => {
          if (prepared?.document !== document)
            prepared = { document, rebased: await this.#rebasedGently(open, document) };
        },
        resources: written,
        author: user.name,
        along: this.#endAlong(open, user, request.along),
      };
      const outcome = await this.#subject.commit(edit, {
        ...request,
        message: message === "" ? `commits ${name}` : message,
      });
      if (!validateOnly) {
        this.#end(open);
        // Where the commit did not do it. When this is lost, the transaction conflicts with itself at its next commit, and expires.
        const told = open.told ? [] : [this.#told(asTold(open), "committed", user.name)];
        await store.write([{ kind: "delete-transaction", name }, ...told]).catch(() => {});
      }
      return outcome;
    });
  }

  /** Forgets a transaction; without effect when there is none. */
  async abort(name: string, user: TransactionUser): Promise<void> {
    const open = this.#open.get(name);
    if (open === undefined) return;
    this.#refuseOthers(open, user);
    await open.serial.run(async () => {
      if (open.ended) return;
      this.#end(open);
      await this.#options.store.write([
        { kind: "delete-transaction", name },
        this.#told(asTold(open), "aborted", user.name),
      ]);
    });
  }

  /** Ends a transaction in the store together with the revision that it becomes; a commit that is taken back leaves it open. */
  #endAlong(open: Open<D, I>, user: TransactionUser, along: Along | undefined): Along {
    const { stored, staged } = open;
    open.told = false;
    return {
      put: (revision) => {
        open.told = true;
        return [
          { kind: "delete-transaction", name: stored.name },
          this.#told(asTold(open), "committed", user.name, revision),
          ...(along?.put(revision) ?? []),
        ];
      },
      remove: () => [
        { kind: "put-transaction", transaction: stored },
        this.#told(asTold(open), "open", stored.owner),
        ...staged.map((write, index) => this.#staging(stored.name, index + 1, write)),
        ...(along?.remove() ?? []),
      ],
    };
  }

  #told(
    { stored: { name }, guarded }: Told,
    state: TransactionStep["state"],
    author: string,
    revision = 0,
  ): Operation {
    const written = guarded.filter((guard) => guard.written).map((guard) => guard.name);
    const resources = [...new Set(written)];
    return tellTransaction(this.#options.clock.now(), { name, state, author, resources, revision });
  }

  #staging(transaction: string, number: number, { input, guards }: StagedWrite<I>): Operation {
    return {
      kind: "append-transaction-write",
      write: {
        ...{ transaction, number, request: this.#subject.encode(input) },
        guards: Buffer.from(JSON.stringify(guards)),
      },
    };
  }

  #begun(stored: StoredTransaction, base: D): Open<D, I> {
    return {
      ...{ stored, base, document: base, broken: undefined },
      ...{ serial: new Serial(), staged: [], guarded: new Map(), ended: false, told: false },
    };
  }

  /** The staged writes, made on a document. Throws `CONFLICT` when that is not as the transaction knew it where that matters. */
  #rebased(open: Open<D, I>, document: D): D {
    this.#refuseConflicts(open, document);
    return open.staged.reduce((on, { input }) => this.#subject.apply(on, input, true).document, document);
  }

  async #rebasedGently(open: Open<D, I>, document: D): Promise<D> {
    this.#refuseConflicts(open, document);
    let on = document;
    for (const [index, { input }] of open.staged.entries()) {
      on = (await this.#applyGently(on, input, true)).document;
      if (index % FEW_WRITES === FEW_WRITES - 1) await new Promise(setImmediate);
    }
    return on;
  }

  async #applyGently(document: D, input: I, again: boolean): Promise<C> {
    const subject = this.#subject;
    return subject.applyGently?.(document, input, again) ?? subject.apply(document, input, again);
  }

  #refuseConflicts(open: Open<D, I>, document: D): void {
    const conflicts = this.#conflicts(open, document);
    if (conflicts.length > 0) {
      throw new DomainError(
        "CONFLICT",
        `others have changed ${conflicts.slice(0, 3).join(", ")}${conflicts.length > 3 ? ` and ${conflicts.length - 3} more` : ""} since the transaction first wrote or guarded it`,
        {
          resource: { type: "transaction", name: open.stored.name },
          metadata: { resources: conflicts.join(", ") },
        },
      );
    }
  }

  #conflicts(open: Open<D, I>, document: D): string[] {
    return [...open.guarded.values()]
      .filter(
        ({ name, extent, fingerprint }) => this.#subject.fingerprint(document, name, extent) !== fingerprint,
      )
      .map(({ name }) => name);
  }

  #replay(open: Open<D, I>, input: I): void {
    try {
      open.document = this.#subject.apply(open.document, input, true).document;
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      open.broken = new DomainError(
        "CONFLICT",
        `what was staged does not fit ${this.#subject.title} any more: ${error.message}`,
        { resource: { type: "transaction", name: open.stored.name }, cause: error },
      );
    }
  }

  /** What is written or guarded for the first time, as the transaction's base has it. */
  #newGuards(open: Open<D, I>, { touched }: C, input: I): Guarded[] {
    const wanted = new Map<string, { extent: Extent; written: boolean }>();
    for (const [name, extent] of touched) wanted.set(name, { extent, written: true });
    for (const name of this.#subject.guarded(input))
      if (!wanted.has(name)) wanted.set(name, { extent: "own", written: false });
    return [...wanted].flatMap(([name, { extent, written }]) => {
      const known = open.guarded.get(name);
      if (
        known !== undefined &&
        (known.written || !written) &&
        (known.extent === "whole" || extent === "own")
      )
        return [];
      return [{ name, extent, written, fingerprint: this.#subject.fingerprint(open.base, name, extent) }];
    });
  }

  #checkRoom({ staged }: Open<D, I>, bytes: number): void {
    const total = staged.reduce((sum, write) => sum + write.bytes, bytes);
    if (staged.length < MAX_STAGED.writes && total <= MAX_STAGED.bytes) return;
    throw new DomainError("LIMIT_EXCEEDED", "the transaction holds as much as it may; commit it", {
      metadata: { limit: `${MAX_STAGED.writes} writes, ${MAX_STAGED.bytes} bytes` },
    });
  }

  #view(open: Open<D, I>): TransactionView<D> {
    const { stored, staged, guarded, base, document } = open;
    return {
      ...stored,
      ...{ writes: staged.length, base, document },
      resources: [...guarded.values()].filter(({ written }) => written).map(({ name }) => name),
      conflicts: this.#conflicts(open, this.#subject.document),
    };
  }

  #find(name: string): Open<D, I> {
    this.#dropExpired();
    const open = this.#open.get(name);
    if (open !== undefined) return open;
    const resource = { type: "transaction", name };
    if (this.#expired.has(name))
      throw new DomainError("TRANSACTION_EXPIRED", `${name} was not used for too long and is forgotten`, {
        resource,
      });
    throw new DomainError("RESOURCE_NOT_FOUND", "there is no such transaction", { resource });
  }

  #findOwn(name: string, user: TransactionUser): Open<D, I> {
    const open = this.#find(name);
    this.#refuseOthers(open, user);
    return open;
  }

  #refuseOthers({ stored }: Open<D, I>, user: TransactionUser): void {
    if (stored.owner === user.name || user.isAdmin) return;
    throw new DomainError("PERMISSION_DENIED", `${stored.name} belongs to ${stored.owner}`, {
      resource: { type: "transaction", name: stored.name },
    });
  }

  #renewed({ stored }: Open<D, I>): StoredTransaction {
    return { ...stored, expireTime: this.#options.clock.now() + stored.idleMs };
  }

  /** Reads renew it as well; that is written down when a good part of its time has passed, not each time. */
  #renew(open: Open<D, I>): void {
    const renewed = this.#renewed(open);
    const notable = renewed.expireTime - open.stored.expireTime > open.stored.idleMs / 4;
    if (!notable) return;
    open.stored = renewed;
    this.#options.store.write([{ kind: "put-transaction", transaction: renewed }]).catch(() => {});
  }

  #end(open: Open<D, I>): void {
    open.ended = true;
    this.#open.delete(open.stored.name);
  }

  #dropExpired(): void {
    const now = this.#options.clock.now();
    for (const open of [...this.#open.values()]) {
      if (open.stored.expireTime > now) continue;
      this.#end(open);
      this.#expire(open.stored.name, [...open.guarded.values()]);
    }
  }

  #expire(name: string, guarded: readonly Guarded[]): void {
    this.#expired.add(name);
    const [oldest] = this.#expired;
    if (this.#expired.size > MAX_EXPIRED && oldest !== undefined) this.#expired.delete(oldest);
    const resources = guarded.filter(({ written }) => written).map((guard) => guard.name);
    const step = { name, state: "expired" as const, author: "haplane", resources };
    const told = tellTransaction(this.#options.clock.now(), step);
    this.#options.store.write([{ kind: "delete-transaction", name }, told]).catch((error: unknown) => {
      this.#options.logger.warn(
        { err: error, transaction: name },
        "an expired transaction is still in the store",
      );
    });
  }

  #sweepLater(): void {
    this.#cancelSweep?.();
    const next = Math.min(...[...this.#open.values()].map(({ stored }) => stored.expireTime));
    if (next === Number.POSITIVE_INFINITY) return;
    const { clock } = this.#options;
    this.#cancelSweep = clock.after(Math.max(next - clock.now(), 1_000), () => {
      this.#dropExpired();
      this.#sweepLater();
    });
  }
}

/** What is told of a transaction. */
interface Told {
  readonly stored: StoredTransaction;
  readonly guarded: readonly Guarded[];
}

function asTold<D, I>({ stored, guarded }: Open<D, I>): Told {
  return { stored, guarded: [...guarded.values()] };
}
