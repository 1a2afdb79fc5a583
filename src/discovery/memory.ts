/** What a source has to remember of its registry across a restart. */
export interface Memory {
  /** The index of the last list of services; 0n when there was none. */
  readonly index: bigint;
  /** Why the registry was in doubt; empty when it was not. */
  readonly doubt: string;
  /** The services that have a backend: service → backend. */
  readonly backends: ReadonlyMap<string, string>;
  /** Backends that were made for services which are gone: backend → service, empty where that is not known. */
  readonly left: ReadonlyMap<string, string>;
}

/** What a new source remembers. */
export const NO_MEMORY: Memory = { index: 0n, doubt: "", backends: new Map(), left: new Map() };

/** Writes a memory for the store. */
export function encodeMemory({ index, doubt, backends, left }: Memory): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      index: String(index),
      doubt,
      backends: Object.fromEntries(backends),
      left: Object.fromEntries(left),
    }),
  );
}

/** Reads a memory from the store. One that cannot be read is none: the registry says it all again, and only what it lost meanwhile goes unnoticed. */
export function decodeMemory(bytes: Uint8Array): Memory {
  try {
    const { index, doubt, backends, left } = JSON.parse(Buffer.from(bytes).toString("utf8"));
    return {
      index: BigInt(index),
      doubt: String(doubt),
      backends: new Map(Object.entries<string>(backends)),
      // Earlier versions kept the backends alone.
      left: new Map(Array.isArray(left) ? left.map((backend) => [backend, ""]) : Object.entries(left)),
    };
  } catch {
    return NO_MEMORY;
  }
}
