import type { Database } from "./database.ts";
import type { NewTransactionWrite, StoredTransaction } from "./operations.ts";

/** Inserts a transaction without writes, or replaces what is known of the one of its name. */
export function putTransaction(database: Database, transaction: StoredTransaction): void {
  const { name, owner, createTime, expireTime, idleMs, baseRevision } = transaction;
  database.run(
    `INSERT INTO transactions (name, owner, create_time, expire_time, idle_ms, base_revision) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET expire_time = excluded.expire_time`,
    name,
    owner,
    Math.round(createTime),
    Math.round(expireTime),
    Math.round(idleMs),
    baseRevision,
  );
}

/** Adds a write to a transaction. Throws a plain error, for it is the caller's defect, when there is no such transaction. */
export function appendTransactionWrite(database: Database, write: NewTransactionWrite): void {
  database.run(
    "INSERT INTO transaction_writes (transaction_name, number, request, guards) VALUES (?, ?, ?, ?)",
    write.transaction,
    write.number,
    write.request,
    write.guards,
  );
}

/** Forgets a transaction with its writes, if there is one of that name. */
export function deleteTransaction(database: Database, name: string): void {
  database.run("DELETE FROM transaction_writes WHERE transaction_name = ?", name);
  database.run("DELETE FROM transactions WHERE name = ?", name);
}

/** A transaction with its writes, in their order. */
export interface TransactionRow extends StoredTransaction {
  readonly writes: readonly Omit<NewTransactionWrite, "transaction">[];
}

/** All transactions, the oldest first. */
export function listTransactions(database: Database): TransactionRow[] {
  return database
    .all<{
      name: string;
      owner: string;
      create_time: number;
      expire_time: number;
      idle_ms: number;
      base_revision: number;
    }>("SELECT * FROM transactions ORDER BY create_time, name")
    .map((row) => ({
      name: row.name,
      owner: row.owner,
      createTime: row.create_time,
      expireTime: row.expire_time,
      idleMs: row.idle_ms,
      baseRevision: row.base_revision,
      writes: database.all<TransactionRow["writes"][number]>(
        "SELECT number, request, guards FROM transaction_writes WHERE transaction_name = ? ORDER BY number",
        row.name,
      ),
    }));
}
