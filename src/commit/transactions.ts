import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import type { Operation, StoredTransaction } from "../store/operations.ts";
import type { Store } from "../store/store.ts";
import { type Along, together } from "./edit.ts";
import { OpenTransaction, type TransactionView } from "./open-transaction.ts";
import { type TransactionStep, tellTransaction } from "./transaction-event.ts";
import type { CommitRequest, Staged, StagedEdit, Subject } from "./transaction-subject.ts";

/** How many transactions an owner may have open. */
export const MAX_OPEN = 10;
/** How many names of transactions that expired are remembered, to tell those who come late. */
const MAX_EXPIRED = 1_000;

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

/**
 * The open transactions. Each is a snapshot of the document with writes staged on it; nothing is locked. A commit makes the writes again on the newest document, provided that nobody has
 * changed what they write or guard. They are kept in the store, so that a restart does not end them.
 */
export class Transactions<D, I, C extends Staged<D>, O> {
  readonly #options: TransactionsOptions<D, I, C, O>;
  readonly #subject: Subject<D, I, C, O>;
  readonly #open = new Map<string, OpenTransaction<D, I, C, O>>();
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
      const open = new OpenTransaction(this.#subject, stored);
      for (const write of writes) open.restore(write);
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
    this.#dropExpired();
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
    const open = new OpenTransaction(this.#subject, stored);
    this.#open.set(stored.name, open);
    try {
      await store.write([
        { kind: "put-transaction", transaction: stored },
        this.#told({ name: stored.name, state: "open", author: owner, resources: [] }),
      ]);
    } catch (error) {
      this.#open.delete(stored.name);
      throw error;
    }
    this.#sweepLater();
    return open.view;
  }

  /** Throws `RESOURCE_NOT_FOUND` or `TRANSACTION_EXPIRED`. Looking does not count as use. */
  get(name: string): TransactionView<D> {
    return this.#find(name).view;
  }

  /** The open ones, the oldest first. */
  list(): readonly TransactionView<D>[] {
    this.#dropExpired();
    return [...this.#open.values()]
      .sort((a, b) => a.stored.createTime - b.stored.createTime || (a.stored.name < b.stored.name ? -1 : 1))
      .map((open) => open.view);
  }

  /** The document as a transaction has it, for reading. Counts as use. */
  read(name: string, user: TransactionUser): { readonly document: D; readonly baseRevision: number } {
    const open = this.#findOwn(name, user);
    const { document } = open;
    this.#renew(open);
    return { document, baseRevision: open.stored.baseRevision };
  }

  /** Stages a write; durable when it resolves. Throws what the write throws, and `LIMIT_EXCEEDED`. With `keep` false it is tried only. */
  stage(name: string, user: TransactionUser, input: I, keep: boolean): Promise<C> {
    return this.#use(name, user, async (open) => {
      const changed = await open.make(input);
      if (!keep) return changed;
      const tried = open.tried(input, changed);
      const renewed = this.#renewed(open);
      await this.#options.store.write([
        open.storing(tried),
        { kind: "put-transaction", transaction: renewed },
        this.#told({ name, state: "staged", author: user.name, resources: open.writtenWith(tried) }),
      ]);
      open.stored = renewed;
      open.keep(tried);
      return changed;
    });
  }

  /** Makes what was staged the document. Throws `CONFLICT`, and what the subject's commit throws; the transaction is then open still. */
  commit(name: string, user: TransactionUser, request: CommitRequest): Promise<O> {
    return this.#use(name, user, async (open) => {
      const { validateOnly, message } = request;
      const end = this.#endAlong(open, user);
      const edit: StagedEdit<D> = {
        ...open.edit(),
        resources: open.written,
        author: user.name,
        along: together(end.along, request.along),
      };
      const outcome = await this.#subject.commit(edit, {
        ...request,
        message: message === "" ? `commits ${name}` : message,
      });
      if (!validateOnly) {
        this.#end(open);
        // Where the commit did not do it. When this is lost, the transaction conflicts with itself at its next commit, and expires.
        const told = end.isTold() ? [] : [this.#told(stepOf(open, "committed", user.name))];
        await this.#options.store.write([{ kind: "delete-transaction", name }, ...told]).catch(() => {});
      }
      return outcome;
    });
  }

  /** Forgets a transaction; without effect when there is none. */
  async abort(name: string, user: TransactionUser): Promise<void> {
    const open = this.#open.get(name);
    if (open === undefined) return;
    refuseOthers(open.stored, user);
    await open.serial.run(async () => {
      if (open.ended) return;
      await this.#options.store.write([
        { kind: "delete-transaction", name },
        this.#told(stepOf(open, "aborted", user.name)),
      ]);
      this.#end(open);
    });
  }

  /** Runs a call in its turn. However long it takes or waits, the transaction does not expire meanwhile, and is renewed when it has ended. */
  #use<T>(
    name: string,
    user: TransactionUser,
    call: (open: OpenTransaction<D, I, C, O>) => Promise<T>,
  ): Promise<T> {
    const open = this.#findOwn(name, user);
    open.uses++;
    const run = open.serial.run(() => call(this.#findOwn(name, user)));
    return run.finally(() => {
      open.uses--;
      if (!open.ended) this.#renew(open);
    });
  }

  /** Ends a transaction in the store together with the revision that it becomes; a commit that is taken back leaves it open. */
  #endAlong(
    open: OpenTransaction<D, I, C, O>,
    user: TransactionUser,
  ): { readonly along: Along; readonly isTold: () => boolean } {
    const { stored } = open;
    let isTold = false;
    const along: Along = {
      put: (revision) => {
        isTold = true;
        return [
          { kind: "delete-transaction", name: stored.name },
          this.#told({ ...stepOf(open, "committed", user.name), revision }),
        ];
      },
      remove: () => [
        { kind: "put-transaction", transaction: stored },
        this.#told(stepOf(open, "open", stored.owner)),
        ...open.storingAll(),
      ],
    };
    return { along, isTold: () => isTold };
  }

  #told(step: TransactionStep): Operation {
    return tellTransaction(this.#options.clock.now(), step);
  }

  #find(name: string): OpenTransaction<D, I, C, O> {
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

  #findOwn(name: string, user: TransactionUser): OpenTransaction<D, I, C, O> {
    const open = this.#find(name);
    refuseOthers(open.stored, user);
    return open;
  }

  #renewed({ stored }: OpenTransaction<D, I, C, O>): StoredTransaction {
    return { ...stored, expireTime: this.#options.clock.now() + stored.idleMs };
  }

  /** Reads renew it as well; that is written down when a good part of its time has passed, not each time. */
  #renew(open: OpenTransaction<D, I, C, O>): void {
    const renewed = this.#renewed(open);
    // The clock may have been set back.
    const notable = Math.abs(renewed.expireTime - open.stored.expireTime) > open.stored.idleMs / 4;
    if (!notable) return;
    open.stored = renewed;
    this.#options.store.write([{ kind: "put-transaction", transaction: renewed }]).catch(() => {});
  }

  #end(open: OpenTransaction<D, I, C, O>): void {
    open.ended = true;
    this.#open.delete(open.stored.name);
  }

  #dropExpired(): void {
    const now = this.#options.clock.now();
    for (const open of [...this.#open.values()]) {
      if (open.stored.expireTime > now || open.uses > 0) continue;
      this.#end(open);
      this.#expire(open.stored.name, open.written);
    }
  }

  #expire(name: string, resources: readonly string[]): void {
    this.#expired.add(name);
    const [oldest] = this.#expired;
    if (this.#expired.size > MAX_EXPIRED && oldest !== undefined) this.#expired.delete(oldest);
    const told = this.#told({ name, state: "expired", author: "haplane", resources });
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

function stepOf(
  { stored, written }: { readonly stored: StoredTransaction; readonly written: readonly string[] },
  state: TransactionStep["state"],
  author: string,
): TransactionStep {
  return { name: stored.name, state, author, resources: written };
}

function refuseOthers({ owner, name }: StoredTransaction, user: TransactionUser): void {
  if (owner === user.name || user.isAdmin) return;
  throw new DomainError("PERMISSION_DENIED", `${name} belongs to ${owner}`, {
    resource: { type: "transaction", name },
  });
}
