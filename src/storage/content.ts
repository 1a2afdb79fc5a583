import { createHash } from "node:crypto";
import type { FileFacts, ManagedDirectory } from "./managed-directory.ts";
import { isPrivateKey, readPem, writePem } from "./pem.ts";
import type { Content } from "./stored-file.ts";

/** Two of them may be on their way to a client at a time. */
const PIECE_BYTES = 126 * 1024;

/** Pieces that are read before they are asked for. */
const READ_AHEAD = 4;

/** Everything of a file's content but what it is of. */
type Sendable = Omit<Content, "file">;

/** The content of a file that holds no secret. */
export function wholeContent(directory: ManagedDirectory, facts: FileFacts): Sendable {
  return {
    ...{ size: facts.size, sha256: facts.sha256, redacted: false },
    pieces: (offset) => readPieces(directory, facts, offset),
  };
}

/** The content of a file that may hold a private key: without it. */
export async function contentWithoutKeys(directory: ManagedDirectory, facts: FileFacts): Promise<Sendable> {
  const bytes = (await directory.read(facts.name)) ?? Buffer.alloc(0);
  const blocks = readPem(bytes.toString("latin1"));
  // What is no PEM, or a broken one, is shown only where no key can be in it.
  const isOpen = !/PRIVATE KEY/.test(bytes.toString("latin1"));
  if (isOpen) return ofBytes(bytes, false);
  const shown = (blocks ?? []).filter((block) => !isPrivateKey(block));
  return ofBytes(Buffer.from(writePem(shown), "latin1"), true);
}

function ofBytes(bytes: Buffer, redacted: boolean): Sendable {
  return {
    ...{ size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex"), redacted },
    async *pieces(offset) {
      for (let at = offset; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
    },
  };
}

async function* readPieces(
  directory: ManagedDirectory,
  { name, size }: FileFacts,
  offset: number,
): AsyncGenerator<Uint8Array> {
  const handle = await directory.openFile(name);
  if (handle === undefined) return;
  const reads: Promise<Buffer>[] = [];
  try {
    const readAt = async (at: number): Promise<Buffer> => {
      const piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, size - at));
      const { bytesRead } = await handle.read(piece, 0, piece.length, at);
      return piece.subarray(0, bytesRead);
    };
    for (let next = offset, at = offset; at < size; ) {
      for (; reads.length < READ_AHEAD && next < size; next += PIECE_BYTES) reads.push(readAt(next));
      const piece = await reads.shift()!;
      // Somebody has cut the file short in place.
      if (piece.length < Math.min(PIECE_BYTES, size - at)) throw new Error(`${name} was cut short`);
      yield piece;
      at += piece.length;
    }
  } finally {
    await Promise.allSettled(reads);
    await handle.close();
  }
}
