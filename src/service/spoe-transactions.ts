import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { SpoeApplyRequestSchema } from "../../gen/haplane/v1/spoe_pb.js";
import type { ChangeOutcome } from "../commit/change.ts";
import type { Along } from "../commit/edit.ts";
import type { TransactionView } from "../commit/open-transaction.ts";
import type { Subject } from "../commit/transaction-subject.ts";
import { Transactions } from "../commit/transactions.ts";
import type { WriteContext } from "../config/write-context.ts";
import type { Clock } from "../lib/clock.ts";
import { applySpoe, type SpoeChanged, type SpoeInput } from "../spoe/apply-spoe.ts";
import { fileName } from "../spoe/file-errors.ts";
import { fingerprintSpoe } from "../spoe/read-spoe.ts";
import { parseSpoeFile, type SpoeFile } from "../spoe/spoe-file.ts";
import type { SpoeFiles, SpoeMade, SpoeOutcome } from "../spoe/spoe-files.ts";
import { fileOfTransaction } from "../spoe/spoe-name.ts";
import type { Store } from "../store/store.ts";

/** What became of a commit. */
export type Outcome = SpoeOutcome<ChangeOutcome>;

/** The transactions on one file. */
export type FileTransactions = Transactions<SpoeFile, SpoeInput, SpoeChanged, Outcome>;

/** What they are built from. */
export interface SpoeTransactionsOptions {
  readonly files: SpoeFiles<ChangeOutcome, Along>;
  readonly context: () => WriteContext;
  readonly store: Pick<Store, "write" | "transactions">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The transactions of all files: each file has its own, as it has its own versions. */
export class SpoeTransactions {
  readonly #options: SpoeTransactionsOptions;
  readonly #making = new Map<string, SpoeMade>();
  readonly #byFile = new Map<string, Promise<FileTransactions>>();

  constructor(options: SpoeTransactionsOptions) {
    this.#options = options;
  }

  /** What the last commit of a transaction on a file makes of it, or would. */
  making(file: string): SpoeMade | undefined {
    return this.#making.get(file);
  }

  /** Reads those that a former run left open. */
  async start(): Promise<void> {
    for (const { name } of await this.#options.store.transactions()) {
      if (!name.startsWith("spoe/")) continue;
      const file = fileOfTransaction(name, "name");
      await this.#options.files.find(file);
      await this.#opened(file);
    }
  }

  /** Those that are open. */
  async list(): Promise<readonly TransactionView<SpoeFile>[]> {
    return (await Promise.all(this.#byFile.values())).flatMap((transactions) => transactions.list());
  }

  /** Lets go of the clock. */
  async stop(): Promise<void> {
    for (const transactions of this.#byFile.values()) (await transactions).stop();
  }

  /** The transactions on a file, which has been looked at. Throws `RESOURCE_NOT_FOUND` when there is no such file, and none on a former one of its name. */
  async of(file: string): Promise<FileTransactions> {
    const stored = await this.#options.files.find(file);
    if (stored === undefined && !this.#byFile.has(file)) await this.#options.files.get(file);
    return this.#opened(file);
  }

  #opened(file: string): Promise<FileTransactions> {
    const known = this.#byFile.get(file) ?? this.#open(file);
    this.#byFile.set(file, known);
    return known;
  }

  async #open(file: string): Promise<FileTransactions> {
    const { store, clock, logger } = this.#options;
    const transactions = new Transactions({ subject: this.#subject(file), store, clock, logger });
    await transactions.start();
    return transactions;
  }

  #subject(name: string): Subject<SpoeFile, SpoeInput, SpoeChanged, Outcome> {
    const { files, context } = this.#options;
    const nothing = parseSpoeFile(name, Buffer.alloc(0));
    return {
      prefix: `${fileName(name)}/transactions/`,
      title: "the file",
      get document() {
        return files.known(name)?.file ?? nothing;
      },
      get revision() {
        return files.known(name)?.version ?? 0;
      },
      apply: (file, input, again) =>
        applySpoe(file, input, again ? { ...context(), etagsCount: false } : context()),
      guarded: () => [],
      fingerprint: (file, resource, extent) => fingerprintSpoe(file, resource, extent, context().etags),
      encode: ({ changes, desired, prune }) =>
        toBinary(
          SpoeApplyRequestSchema,
          create(SpoeApplyRequestSchema, {
            ...{ file: fileName(name), changes: [...changes], desired: [...desired], prune: [...prune] },
          }),
        ),
      decode(bytes) {
        const { changes, desired, prune } = fromBinary(SpoeApplyRequestSchema, bytes);
        return { changes, desired, prune, single: false };
      },
      commit: ({ apply, author, along }, { validateOnly, baseRevision, message }) =>
        files.change({
          ...{ name, apply, author, validateOnly, baseVersion: baseRevision },
          message: () => message,
          along: (made) => {
            this.#making.set(name, made);
            return along;
          },
        }),
    };
  }
}
