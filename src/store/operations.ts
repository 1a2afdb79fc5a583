import type { Event } from "../../gen/haplane/v1/events_pb.js";
import type { Edit } from "./delta.ts";

/**
 * One change of the store. Those that are given to one `write` go into one transaction: all of them are durable, or none is there.
 */
export type Operation =
  | { readonly kind: "append-revision"; readonly revision: NewRevision }
  /** Events that watchers get together. More than one of these in a batch makes more than one message. */
  | { readonly kind: "append-events"; readonly events: readonly Event[] }
  | { readonly kind: "put-source"; readonly source: StoredSource }
  | { readonly kind: "delete-source"; readonly name: string }
  /** Inserts the record of a reload, or replaces the one with its number. */
  | { readonly kind: "put-reload"; readonly reload: ReloadRecord }
  | { readonly kind: "begin-intent"; readonly intent: NewIntent }
  /** Forgets an intent: the write that it announced is done or undone. */
  | { readonly kind: "finish-intent"; readonly id: string }
  /** A value that has no table of its own, by its name. */
  | { readonly kind: "put-meta"; readonly name: string; readonly value: Uint8Array }
  /** Inserts a transaction, or renews the one of its name. */
  | { readonly kind: "put-transaction"; readonly transaction: StoredTransaction }
  | { readonly kind: "append-transaction-write"; readonly write: NewTransactionWrite }
  | { readonly kind: "delete-transaction"; readonly name: string }
  /** Keeps the answer to a request for those who send it again, and forgets the answers from before a time. */
  | { readonly kind: "put-answer"; readonly answer: StoredAnswer; readonly forgetBefore: number }
  /** Forgets the answer to a request: what it says was taken back. */
  | { readonly kind: "delete-answer"; readonly caller: string; readonly requestId: string }
  /** Appends a version of a file that is not the configuration's. */
  | { readonly kind: "append-file-version"; readonly version: NewFileVersion };

/** How a file's content came to be in a revision. A file that a revision does not name is as it was before. */
export type FileChange =
  /** The whole content. */
  | { readonly kind: "content"; readonly path: string; readonly content: Uint8Array }
  /** The parts that differ from the parent revision's content, in order of their offsets, none overlapping. */
  | { readonly kind: "edits"; readonly path: string; readonly edits: readonly Edit[] }
  /** The file does not exist any more. */
  | { readonly kind: "absent"; readonly path: string };

/** Which lane wrote a revision; discovery's are kept apart from the others', and for a shorter time. */
export type RevisionLane = "runtime" | "reload" | "discovery" | "external";

/** A revision to be appended. */
export interface NewRevision {
  /** Its number: more than the newest one's. Usually `parent + 1`. */
  readonly number: number;
  /** The revision that the edits are relative to: the newest one in the store, 0 when there is none. The batch is refused when it is another. */
  readonly parent: number;
  /** When it was committed, in milliseconds since 1970. */
  readonly time: number;
  /** Who caused it: `sources/{source}`, a user, `external`, or `haplane`. */
  readonly author: string;
  /** A sentence on what changed. */
  readonly message: string;
  readonly lane: RevisionLane;
  /** Names of the resources that changed. */
  readonly resources: readonly string[];
  readonly files: readonly FileChange[];
}

/** A source as discovery keeps it; both byte strings are opaque here and may hold a token. */
export interface StoredSource {
  /** `sources/{source}`. */
  readonly name: string;
  /** The settings: an encoded `haplane.v1.Source`. */
  readonly settings: Uint8Array;
  /** What the source has to remember of its registry. */
  readonly memory: Uint8Array;
}

/** An open transaction of the configuration, without its writes. Times are milliseconds since 1970. */
export interface StoredTransaction {
  /** `transactions/{transaction}`. */
  readonly name: string;
  /** Who began it. */
  readonly owner: string;
  readonly createTime: number;
  /** When it is forgotten, unless it is used before. */
  readonly expireTime: number;
  /** For how long it may be left unused. */
  readonly idleMs: number;
  /** The newest revision when it was begun. */
  readonly baseRevision: number;
}

/** A write that is staged in a transaction. */
export interface NewTransactionWrite {
  /** Name of the transaction. */
  readonly transaction: string;
  /** Its place among the transaction's writes, from 1. */
  readonly number: number;
  /** What is to be written; opaque here, and may hold secrets. */
  readonly request: Uint8Array;
  /** What the written resources were when the transaction began; opaque here. */
  readonly guards: Uint8Array;
}

/** The answer that a request got, for those who send it again. */
export interface StoredAnswer {
  readonly caller: string;
  /** The caller's id of the request. */
  readonly requestId: string;
  /** The method's name. */
  readonly method: string;
  /** Of the request, so that another one under the same id is noticed. */
  readonly digest: Uint8Array;
  /** When it was given, in milliseconds since 1970. */
  readonly time: number;
  /** The encoded answer. */
  readonly answer: Uint8Array;
}

/** A version of a file that has a history of its own, beside that of the configuration. */
export interface FileVersion {
  /** Resource name of the file: `spoe/{file}`. */
  readonly file: string;
  /** Grows by one with every change of the file, from 1; removing it is one, so that a file that is made again goes on from there. */
  readonly number: number;
  /** When it was committed, in milliseconds since 1970. */
  readonly time: number;
  /** Who caused it: a user, `external`, or `haplane`. */
  readonly author: string;
  /** A sentence on what changed. */
  readonly message: string;
  /** The revision that it was committed with; 0 for what was found. */
  readonly revision: number;
  /** Names of the resources that changed. */
  readonly resources: readonly string[];
  /** Of the content, hexadecimal; empty when the file was removed. */
  readonly sha256: string;
  /** Bytes of the content. */
  readonly size: number;
}

/** A version to be appended. */
export interface NewFileVersion extends Omit<FileVersion, "size"> {
  /** Undefined when the file was removed. */
  readonly content: Uint8Array | undefined;
}

/** How far a reload is; `lost`: haplane ended before it did. */
export type ReloadOutcome = "running" | "succeeded" | "failed" | "lost";

/** One reload of HAProxy. */
export interface ReloadRecord {
  /** `reloads/{number}`. */
  readonly number: number;
  readonly state: ReloadOutcome;
  /** Why it was needed. */
  readonly reasons: readonly string[];
  /** HAProxy's words. */
  readonly output: string;
  /** The revision that it makes HAProxy run. */
  readonly revision: number;
  /** When it began, in milliseconds since 1970. */
  readonly startTime: number;
  /** When it ended likewise; undefined while it runs. */
  readonly endTime?: number;
  /** What has to be given back to the new worker; opaque here. */
  readonly captured?: Uint8Array;
}

/** The announcement of a write whose outcome a crash could leave open, with what is needed to undo it. */
export interface NewIntent {
  /** Unique among the pending ones. */
  readonly id: string;
  /** When it was begun, in milliseconds since 1970. */
  readonly time: number;
  /** The revision that the former content is told by, usually the newest; 0 for none. It is kept as long as the intent is. */
  readonly base: number;
  /** How the files' former content differs from `base`; files that do not are named in `data` alone, if at all. */
  readonly former: readonly FileChange[];
  /** What the writer needs to know of it after a crash; opaque here. */
  readonly data: Uint8Array;
}
