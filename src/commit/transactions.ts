import { randomBytes } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { ApplyRequestSchema, WriteOptionsSchema } from "../../gen/haplane/v1/configuration_pb.js";
import type { Changed, Extent } from "../config/apply-changes.ts";
import { type ApplyInput, applyRequest, fingerprint } from "../config/apply-request.ts";
import type { Owns } from "../config/desired-changes.ts";
import { readResourceId, writeResourceId } from "../config/locate.ts";
import type { WriteContext } from "../config/write-context.ts";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import { Serial } from "../lib/serial.ts";
import type { StoredTransaction } from "../store/operations.ts";
import type { Store } from "../store/store.ts";
import type { Document } from "../text/document.ts";
import type { ChangeOutcome, ChangeRequest } from "./change.ts";

/** How many transactions an owner may have open. */
export const MAX_OPEN = 10;
/** How much may be staged in one. */
export const MAX_STAGED = { writes: 10_000, bytes: 64 * 1024 * 1024 };
/** How many names of transactions that expired are remembered, to tell those who come late. */
const MAX_EXPIRED = 1_000;

/** What they are built from. */
export interface TransactionsOptions {
  readonly commit: {
    readonly document: Document;
    readonly revision: number;
    change(request: ChangeRequest): Promise<ChangeOutcome>;
  };
  readonly store: Pick<Store, "write" | "transactions">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Asked for at each write: the running HAProxy may have become another. */
  readonly context: () => WriteContext;
  readonly owns: Owns;
}

/** Who uses a transaction. */
export interface TransactionUser {
  readonly name: string;
  /** An admin may end what belongs to others. */
  readonly isAdmin: boolean;
}

/** A transaction as others see it. */
export interface TransactionView extends StoredTransaction {
  readonly writes: number;
  /** Names of the resources that it writes. */
  readonly resources: readonly string[];
  /** Resources that others have changed since, so that a commit would fail. */
  readonly conflicts: readonly string[];
  /** What it began with, and what was made of it. */
  readonly base: Document;
  readonly document: Document;
}

/** What a resource was when it was first written or guarded. */
interface Guarded {
  readonly name: string;
  readonly extent: Extent;
  readonly fingerprint: string;
  readonly written: boolean;
}

interface Staged {
  readonly input: ApplyInput;
  readonly bytes: number;
}

interface Open {
  stored: StoredTransaction;
  /** Calls that change it, one after another. */
  readonly serial: Serial;
  readonly base: Document;
  document: Document;
  /** Why what was staged before a restart cannot be shown on what the configuration has become. */
  broken: DomainError | undefined;
  readonly staged: Staged[];
  readonly guarded: Map<string, Guarded>;
  ended: boolean;
}

/**
 * The open transactions. Each is a snapshot of the document with writes staged on it; nothing is locked. A commit makes the writes again on the newest document, provided that nobody has
 * changed what they write or guard. They are kept in the store, so that a restart does not end them.
 */
export class Transactions {
  readonly #options: TransactionsOptions;
  readonly #open = new Map<string, Open>();
  readonly #expired = new Set<string>();
  #cancelSweep: (() => void) | undefined;

  constructor(options: TransactionsOptions) {
    this.#options = options;
  }

  /** Reads those that a former run left open. */
  async start(): Promise<void> {
    const { store, commit, clock, logger } = this.#options;
    const gone: string[] = [];
    for (const { writes, ...stored } of await store.transactions()) {
      if (stored.expireTime <= clock.now()) {
        gone.push(stored.name);
        continue;
      }
      const open = this.#begun(stored, commit.document);
      for (const { request, guards } of writes) {
        const input = decodeInput(request);
        open.staged.push({ input, bytes: request.length });
        for (const guard of JSON.parse(Buffer.from(guards).toString("utf8")) as Guarded[])
          open.guarded.set(guard.name, guard);
        this.#replay(open, input);
      }
      if (open.broken !== undefined)
        logger.warn(
          { transaction: stored.name, err: open.broken },
          "a transaction does not fit the configuration any more",
        );
      this.#open.set(stored.name, open);
    }
    for (const name of gone) this.#expire(name);
    this.#sweepLater();
  }

  /** Lets go of the clock. */
  stop(): void {
    this.#cancelSweep?.();
  }

  /** Begins a transaction. Throws `LIMIT_EXCEEDED` when the owner has too many. */
  async begin(owner: string, idleMs: number): Promise<TransactionView> {
    const { commit, clock, store } = this.#options;
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
      name: `transactions/${randomBytes(9).toString("hex")}`,
      ...{ owner, idleMs, createTime: now, expireTime: now + idleMs, baseRevision: commit.revision },
    };
    const open = this.#begun(stored, commit.document);
    this.#open.set(stored.name, open);
    try {
      await store.write([{ kind: "put-transaction", transaction: stored }]);
    } catch (error) {
      this.#open.delete(stored.name);
      throw error;
    }
    this.#sweepLater();
    return this.#view(open);
  }

  /** Throws `RESOURCE_NOT_FOUND` or `TRANSACTION_EXPIRED`. Looking does not count as use. */
  get(name: string): TransactionView {
    return this.#view(this.#find(name));
  }

  /** The open ones, the oldest first. */
  list(): readonly TransactionView[] {
    this.#dropExpired();
    return [...this.#open.values()]
      .sort((a, b) => a.stored.createTime - b.stored.createTime || (a.stored.name < b.stored.name ? -1 : 1))
      .map((open) => this.#view(open));
  }

  /** The configuration as a transaction has it, for reading. Counts as use. */
  read(name: string, user: TransactionUser): { readonly document: Document; readonly baseRevision: number } {
    const open = this.#findOwn(name, user);
    if (open.broken !== undefined) throw open.broken;
    this.#renew(open);
    return { document: open.document, baseRevision: open.stored.baseRevision };
  }

  /** Stages a write; durable when it resolves. Throws what the write throws, and `LIMIT_EXCEEDED`. With `keep` false it is tried only. */
  stage(name: string, user: TransactionUser, input: ApplyInput, keep: boolean): Promise<Changed> {
    return this.#findOwn(name, user).serial.run(async () => {
      const open = this.#findOwn(name, user);
      if (open.broken !== undefined) throw open.broken;
      const { store, context, owns } = this.#options;
      const changed = applyRequest(open.document, input, context(), owns);
      if (!keep) return changed;
      const request = encodeInput(input);
      this.#checkRoom(open, request.length);
      const guards = this.#newGuards(open, changed, input);
      const renewed = this.#renewed(open);
      await store.write([
        {
          kind: "append-transaction-write",
          write: {
            transaction: name,
            number: open.staged.length + 1,
            request,
            guards: Buffer.from(JSON.stringify(guards)),
          },
        },
        { kind: "put-transaction", transaction: renewed },
      ]);
      open.stored = renewed;
      open.document = changed.document;
      open.staged.push({ input, bytes: request.length });
      for (const guard of guards) open.guarded.set(guard.name, guard);
      return changed;
    });
  }

  /** Makes what was staged the configuration. Throws `CONFLICT`, and what `Commit.change` throws; the transaction is then open still. */
  commit(
    name: string,
    user: TransactionUser,
    request: { readonly validateOnly: boolean; readonly baseRevision?: number; readonly message: string },
  ): Promise<ChangeOutcome> {
    return this.#findOwn(name, user).serial.run(async () => {
      const open = this.#findOwn(name, user);
      const { commit, store } = this.#options;
      const { validateOnly, baseRevision, message } = request;
      this.#renew(open);
      const written = [...open.guarded.values()].filter((guard) => guard.written).map((guard) => guard.name);
      const outcome = await commit.change({
        edit: {
          apply: (document) => this.#rebased(open, document),
          resources: written,
          author: user.name,
          message: message === "" ? `commits ${name}` : message,
          servers: [],
        },
        validateOnly,
        ...(baseRevision !== undefined && { baseRevision }),
      });
      if (!validateOnly) {
        this.#end(open);
        // When this is lost, the transaction conflicts with itself at its next commit, and expires.
        await store.write([{ kind: "delete-transaction", name }]).catch(() => {});
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
      await this.#options.store.write([{ kind: "delete-transaction", name }]);
    });
  }

  #begun(stored: StoredTransaction, base: Document): Open {
    return {
      ...{ stored, base, document: base, broken: undefined },
      ...{ serial: new Serial(), staged: [], guarded: new Map(), ended: false },
    };
  }

  /** The staged writes, made on a document. Throws `CONFLICT` when that is not as the transaction knew it where that matters. */
  #rebased(open: Open, document: Document): Document {
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
    return open.staged.reduce((on, { input }) => this.#make(on, input), document);
  }

  #conflicts(open: Open, document: Document): string[] {
    const { etags } = this.#options.context();
    return [...open.guarded.values()]
      .filter(({ name, extent, fingerprint: known }) => fingerprint(document, name, extent, etags) !== known)
      .map(({ name }) => name);
  }

  #replay(open: Open, input: ApplyInput): void {
    try {
      open.document = this.#make(open.document, input);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      open.broken = new DomainError(
        "CONFLICT",
        `what was staged does not fit the configuration any more: ${error.message}`,
        { resource: { type: "transaction", name: open.stored.name }, cause: error },
      );
    }
  }

  #make(document: Document, input: ApplyInput): Document {
    const context = { ...this.#options.context(), etagsCount: false };
    return applyRequest(document, { ...input, guards: [] }, context, this.#options.owns).document;
  }

  /** What is written or guarded for the first time, as the transaction's base has it. */
  #newGuards(open: Open, { touched }: Changed, { guards }: ApplyInput): Guarded[] {
    const { etags } = this.#options.context();
    const wanted = new Map<string, { extent: Extent; written: boolean }>();
    for (const [name, extent] of touched) wanted.set(name, { extent, written: true });
    for (const { name } of guards) {
      const own = writeResourceId(readResourceId(name, "options.guards"));
      if (!wanted.has(own)) wanted.set(own, { extent: "own", written: false });
    }
    return [...wanted].flatMap(([name, { extent, written }]) => {
      const known = open.guarded.get(name);
      if (
        known !== undefined &&
        (known.written || !written) &&
        (known.extent === "whole" || extent === "own")
      )
        return [];
      return [{ name, extent, written, fingerprint: fingerprint(open.base, name, extent, etags) }];
    });
  }

  #checkRoom({ staged }: Open, bytes: number): void {
    const total = staged.reduce((sum, write) => sum + write.bytes, bytes);
    if (staged.length < MAX_STAGED.writes && total <= MAX_STAGED.bytes) return;
    throw new DomainError("LIMIT_EXCEEDED", "the transaction holds as much as it may; commit it", {
      metadata: { limit: `${MAX_STAGED.writes} writes, ${MAX_STAGED.bytes} bytes` },
    });
  }

  #view(open: Open): TransactionView {
    const { stored, staged, guarded, base, document } = open;
    return {
      ...stored,
      ...{ writes: staged.length, base, document },
      resources: [...guarded.values()].filter(({ written }) => written).map(({ name }) => name),
      conflicts: this.#conflicts(open, this.#options.commit.document),
    };
  }

  #find(name: string): Open {
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

  #findOwn(name: string, user: TransactionUser): Open {
    const open = this.#find(name);
    this.#refuseOthers(open, user);
    return open;
  }

  #refuseOthers({ stored }: Open, user: TransactionUser): void {
    if (stored.owner === user.name || user.isAdmin) return;
    throw new DomainError("PERMISSION_DENIED", `${stored.name} belongs to ${stored.owner}`, {
      resource: { type: "transaction", name: stored.name },
    });
  }

  #renewed({ stored }: Open): StoredTransaction {
    return { ...stored, expireTime: this.#options.clock.now() + stored.idleMs };
  }

  /** Reads renew it as well; that is written down when a good part of its time has passed, not each time. */
  #renew(open: Open): void {
    const renewed = this.#renewed(open);
    const notable = renewed.expireTime - open.stored.expireTime > open.stored.idleMs / 4;
    if (!notable) return;
    open.stored = renewed;
    this.#options.store.write([{ kind: "put-transaction", transaction: renewed }]).catch(() => {});
  }

  #end(open: Open): void {
    open.ended = true;
    this.#open.delete(open.stored.name);
  }

  #dropExpired(): void {
    const now = this.#options.clock.now();
    for (const open of [...this.#open.values()]) {
      if (open.stored.expireTime > now) continue;
      this.#end(open);
      this.#expire(open.stored.name);
    }
  }

  #expire(name: string): void {
    this.#expired.add(name);
    const [oldest] = this.#expired;
    if (this.#expired.size > MAX_EXPIRED && oldest !== undefined) this.#expired.delete(oldest);
    this.#options.store.write([{ kind: "delete-transaction", name }]).catch((error: unknown) => {
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

function encodeInput({ changes, desired, prune, guards }: ApplyInput): Uint8Array {
  const options = create(WriteOptionsSchema, { guards: [...guards] });
  return toBinary(ApplyRequestSchema, create(ApplyRequestSchema, { changes, desired, prune, options }));
}

function decodeInput(bytes: Uint8Array): ApplyInput {
  const { changes, desired, prune, options } = fromBinary(ApplyRequestSchema, bytes);
  return { changes, desired, prune, guards: options?.guards ?? [], single: false };
}
