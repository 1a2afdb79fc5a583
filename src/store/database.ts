import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { DomainError } from "../lib/errors.ts";

/** A SQLite connection whose statements are prepared once. Every method throws `STORE_UNAVAILABLE` when the disk or the file is at fault. */
export class Database {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /**
   * Opens a database for writing, each transaction durable when it is committed. The file exists already, if only as an empty one, and stays as it is until something is
   * written. What is deleted is overwritten, for it may be secret: intents have the content of private keys, sources tokens.
   */
  static openWritable(path: string): Database {
    return translated(() => {
      const database = new DatabaseSync(path);
      database.exec(`
        ${WAIT_WHEN_BUSY}
        PRAGMA synchronous = FULL;
        PRAGMA journal_size_limit = 16777216;
        PRAGMA secure_delete = ON;
        PRAGMA temp_store = MEMORY;
        PRAGMA trusted_schema = OFF;
      `);
      return new Database(database);
    });
  }

  /** Opens a database that another connection writes. */
  static openReadOnly(path: string): Database {
    return translated(() => {
      const database = new DatabaseSync(path, { readOnly: true });
      database.exec(WAIT_WHEN_BUSY);
      return new Database(database);
    });
  }

  /** Lets others read while this connection writes, from now on and for good. */
  useWriteAheadLog(): void {
    this.execute("PRAGMA journal_mode = WAL");
  }

  /** Runs a statement for its effect. */
  run(sql: string, ...values: SQLInputValue[]): void {
    translated(() => this.#prepared(sql).run(...values));
  }

  /** The first row, if any. `Row` is what the statement is known to return. */
  get<Row>(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return translated(() => this.#prepared(sql).get(...values) as Row | undefined);
  }

  /** All rows. `Row` is what the statement is known to return. */
  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return translated(() => this.#prepared(sql).all(...values) as Row[]);
  }

  /** Rows as they are asked for, for a reader that does not know beforehand how many it wants. */
  *each<Row>(sql: string, ...values: SQLInputValue[]): Generator<Row> {
    const rows = translated(() => this.#prepared(sql).iterate(...values));
    try {
      for (;;) {
        const row = translated(() => rows.next());
        if (row.done) return;
        yield row.value as Row;
      }
    } finally {
      // A statement that is left in the middle would hold its read transaction open.
      rows.return?.();
    }
  }

  /** Runs statements that take and return nothing. */
  execute(sql: string): void {
    translated(() => this.#database.exec(sql));
  }

  /** Runs `action` in a transaction of its own: what it wrote is durable when this returns, or not there when it throws. */
  transaction<T>(action: () => T): T {
    this.run("BEGIN IMMEDIATE");
    try {
      const result = action();
      this.run("COMMIT");
      return result;
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /** Runs `action` so that everything it reads is of one moment. */
  snapshot<T>(action: () => T): T {
    this.execute("BEGIN");
    try {
      return action();
    } finally {
      this.rollback();
    }
  }

  /** Undoes the open transaction, if there is one: SQLite ends it by itself after some errors. */
  rollback(): void {
    try {
      this.execute("ROLLBACK");
    } catch (error) {
      // Node 22 has no way to ask before.
      if (!(error instanceof Error && error.message.includes("no transaction is active"))) throw error;
    }
  }

  close(): void {
    this.#database.close();
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** Whether an error means that the file is not, or no longer, a sound database. */
export function isDamage(error: unknown): boolean {
  return error instanceof DomainError && error.metadata.sqlite === "damaged";
}

// For a backup or a curious person that holds the database; nothing of ours does.
const WAIT_WHEN_BUSY = "PRAGMA busy_timeout = 10000;";

// SQLite's primary result codes for what is the fault of the disk or the file, and not ours: https://www.sqlite.org/rescode.html
const FAULTS = new Map<number, { readonly word: string; readonly sentence: string }>([
  [3, { word: "forbidden", sentence: "The state database may not be accessed." }],
  [5, { word: "busy", sentence: "Another program holds the state database." }],
  [6, { word: "busy", sentence: "The state database is in use." }],
  [7, { word: "memory", sentence: "There is no memory left for the state database." }],
  [8, { word: "read-only", sentence: "The state database cannot be written." }],
  [10, { word: "io", sentence: "The disk under the state database fails." }],
  [11, { word: "damaged", sentence: "The state database is damaged." }],
  [13, { word: "full", sentence: "The disk under the state database is full." }],
  [14, { word: "unopenable", sentence: "The state database cannot be opened." }],
  [26, { word: "damaged", sentence: "The state database is not a database." }],
]);

function translated<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    const fault = FAULTS.get(((error as { errcode?: number }).errcode ?? 0) & 0xff);
    if (fault === undefined) throw error;
    throw new DomainError("STORE_UNAVAILABLE", fault.sentence, {
      metadata: { sqlite: fault.word, detail: (error as Error).message },
      retryAfterMs: 1_000,
      cause: error,
    });
  }
}
