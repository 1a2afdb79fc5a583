import type { Database } from "./database.ts";
import type { StoredAnswer } from "./operations.ts";

/** Keeps an answer; those from before `forgetBefore` are forgotten. */
export function putAnswer(database: Database, answer: StoredAnswer, forgetBefore: number): void {
  database.run("DELETE FROM answers WHERE time < ?", Math.round(forgetBefore));
  database.run(
    "INSERT OR REPLACE INTO answers (caller, request_id, method, digest, time, answer) VALUES (?, ?, ?, ?, ?, ?)",
    answer.caller,
    answer.requestId,
    answer.method,
    answer.digest,
    Math.round(answer.time),
    answer.answer,
  );
}

/** Forgets an answer; without effect when it is not kept. */
export function deleteAnswer(database: Database, caller: string, requestId: string): void {
  database.run("DELETE FROM answers WHERE caller = ? AND request_id = ?", caller, requestId);
}

/** The answer that a caller's request got, if it is kept. */
export function getAnswer(database: Database, caller: string, requestId: string): StoredAnswer | undefined {
  return database.get<StoredAnswer>(
    `SELECT caller, request_id AS "requestId", method, digest, time, answer FROM answers WHERE caller = ? AND request_id = ?`,
    caller,
    requestId,
  );
}
