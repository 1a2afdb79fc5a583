import type { Caller } from "./handler.ts";

/** What a client sends to prove who it is. */
export type Credentials =
  | { readonly scheme: "bearer"; readonly token: string }
  | { readonly scheme: "basic"; readonly user: string; readonly password: string };

/** Says who the credentials belong to, or `undefined` when they are wrong. Takes the same time for every wrong one. */
export type Verifier = (credentials: Credentials) => Caller | undefined | Promise<Caller | undefined>;
