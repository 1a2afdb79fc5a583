/** Keeps sources across restarts. The two byte strings are opaque to the store; both hold what must not be readable by others (a token). */
export interface SourceStore {
  /** All sources that were put and not deleted. Called once, at start. */
  list(): Promise<readonly StoredSource[]>;
  /** Inserts or replaces; durable when it resolves. Calls for one name are made one after another. */
  put(source: StoredSource): Promise<void>;
  /** Forgets a source; no error when there is none. Durable when it resolves. */
  delete(name: string): Promise<void>;
}

/** One source as it is kept. */
export interface StoredSource {
  /** Resource name, `sources/{source}`. */
  readonly name: string;
  /** The settings, token included: an encoded `haplane.v1.Source`. */
  readonly settings: Uint8Array;
  /** What the source has to remember of its registry: the last index, and which service has which backend. Rewritten at most once a second. */
  readonly memory: Uint8Array;
}
