/** The thread of `password-check.ts`: answers whether a password has a hash, one question after another. */

import { parentPort } from "node:worker_threads";
import { type ShaCrypt, verifyShaCrypt } from "../lib/sha-crypt.ts";

/** A question to the thread. */
export interface Question {
  readonly id: number;
  readonly password: string;
  readonly hash: ShaCrypt;
}

/** Its answer. */
export interface Reply {
  readonly id: number;
  readonly matches: boolean;
}

parentPort?.on("message", ({ id, password, hash }: Question) => {
  parentPort?.postMessage({ id, matches: verifyShaCrypt(password, hash) } satisfies Reply);
});
