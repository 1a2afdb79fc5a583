import { Role } from "../../gen/haplane/v1/options_pb.js";
import type { Staged } from "../commit/transaction-subject.ts";
import type { Transactions, TransactionUser } from "../commit/transactions.ts";
import { fieldsInvalid } from "../rpc/fields.ts";
import type { Caller } from "../rpc/handler.ts";

/** The caller, as transactions know users. */
export function userOf({ name, role }: Caller): TransactionUser {
  return { name, isAdmin: role === Role.ADMIN };
}

/** A write that goes into a transaction. */
export interface StagedRequest<I> {
  /** The transaction's name. */
  readonly transaction: string;
  readonly caller: Caller;
  readonly input: I;
  /** It is tried there only. */
  readonly validateOnly: boolean;
}

/** Stages a write in a transaction, or tries it there. Throws what `Transactions.stage` does. */
export async function stageWrite<D, I, C extends Staged<D>>(
  transactions: Pick<Transactions<D, I, C, unknown>, "read" | "stage">,
  { transaction, caller, input, validateOnly }: StagedRequest<I>,
  diff: (before: D, after: D) => string,
): Promise<{ readonly base: bigint; readonly diff: string; readonly changed: C }> {
  const before = transactions.read(transaction, userOf(caller));
  const changed = await transactions.stage(transaction, userOf(caller), input, !validateOnly);
  return {
    base: BigInt(before.baseRevision),
    diff: validateOnly ? diff(before.document, changed.document) : "",
    changed,
  };
}

/** Throws `FIELD_INVALID` for options that say something of a commit, by whether they are set: a write that is staged is none. */
export function refuseWithTransaction(given: Readonly<Record<string, boolean>>): void {
  const wrong = Object.keys(given).filter((field) => given[field]);
  const description = "is for the commit of the transaction";
  if (wrong.length > 0) throw fieldsInvalid(wrong.map((field) => ({ field, description })));
}
