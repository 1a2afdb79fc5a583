import type { Chunk } from "../text/chunk.ts";

/** Whether a text stands anywhere in the lines of a chunk: much cheaper than to read them. */
export function chunkHolds(chunk: Chunk, text: Buffer): boolean {
  return chunk.runs.some(({ source, from, to }) =>
    source.bytes.subarray(source.starts[from]!, source.starts[to]!).includes(text),
  );
}
