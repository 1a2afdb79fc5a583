import type * as nodeFs from "node:fs/promises";

/** The operations that managed directories need; tests pass their own, to stop or fail between two of them. */
export type StorageFs = Pick<typeof nodeFs, "open" | "rename" | "link" | "unlink" | "lstat" | "readdir">;
