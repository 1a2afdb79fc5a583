import type { Extent } from "../config/apply-changes.ts";
import type { Along } from "./edit.ts";

/** What a write leads to. */
export interface Staged<D> {
  readonly document: D;
  /** Names of the resources that it writes, and how much of each matters to it. */
  readonly touched: ReadonlyMap<string, Extent>;
}

/** How a commit is made. */
export interface CommitRequest {
  readonly validateOnly: boolean;
  /** When given, the newest revision must be this one. */
  readonly baseRevision?: number;
  readonly message: string;
  /** What is kept along with the commit's revision. Default: nothing. */
  readonly along?: Along;
}

/** The staged writes of a transaction as one. */
export interface StagedEdit<D> {
  apply(document: D): D;
  /** See `Edit.prepare`. */
  prepare(document: D): Promise<void>;
  readonly resources: readonly string[];
  readonly author: string;
  /** The end of the transaction, for a commit that can make it one with its revision. */
  readonly along: Along;
}

/** What transactions are about: a document `D` that is written by inputs `I`. A write gives `C`, a commit `O`. */
export interface Subject<D, I, C extends Staged<D>, O> {
  /** Begins the names of its transactions. */
  readonly prefix: string;
  /** For people: "the configuration". */
  readonly title: string;
  readonly document: D;
  /** Number of the newest revision. */
  readonly revision: number;
  /** Makes a write. `again`: it was accepted before, so that its etags and guards do not count any more. */
  apply(document: D, input: I, again: boolean): C;
  /** The same, letting others run meanwhile. Default: writes are small. */
  applyGently?(document: D, input: I, again: boolean): Promise<C>;
  /** Names of the resources that a write guards without writing them. */
  guarded(input: I): readonly string[];
  /** What a resource is: equal as long as nothing of it changes. */
  fingerprint(document: D, name: string, extent: Extent): string;
  encode(input: I): Uint8Array;
  decode(bytes: Uint8Array): I;
  /** Makes the writes on the newest document, which `edit` does, and that the subject. */
  commit(edit: StagedEdit<D>, request: CommitRequest): Promise<O>;
}
