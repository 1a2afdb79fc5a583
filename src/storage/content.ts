import { createHash } from "node:crypto";
import type { FileFacts } from "./known-files.ts";
import type { ManagedDirectory } from "./managed-directory.ts";
import { isPrivateKey, namesPrivateKey, readPem, writePem } from "./pem.ts";
import { sideFileOf } from "./side-files.ts";
import type { Content, PiecePrefix } from "./stored-file.ts";

/** Large, since what a message costs beside its bytes is the same for all sizes. */
const PIECE_BYTES = 512 * 1024;

/** The most that stands in front of a piece. */
const MAX_PREFIX_BYTES = 16;

/** Pieces that are read before they are asked for. */
const READ_AHEAD = 2;

const NO_PREFIX: PiecePrefix = () => new Uint8Array(0);

/** Everything of a file's content but what it is of. */
type Sendable = Omit<Content, "file">;

/** The content of a file that holds no secret. */
export function wholeContent(directory: ManagedDirectory, facts: FileFacts): Sendable {
  return {
    ...{ size: facts.size, sha256: facts.sha256, redacted: false },
    pieces: (offset, prefix = NO_PREFIX) => readPieces(directory, facts, offset, prefix),
  };
}

/** The content of a file in which a private key may be: without it. One in DER, or in wide characters, does not say that it is one: only what is known to hold none is sent as it is. */
export async function contentWithoutKeys(directory: ManagedDirectory, facts: FileFacts): Promise<Sendable> {
  const bytes = (await directory.read(facts.name)) ?? Buffer.alloc(0);
  const text = bytes.toString("latin1");
  const blocks = readPem(text) ?? [];
  const side = sideFileOf(facts.name);
  const isPlain = blocks.length > 0 && !namesPrivateKey(text) && !text.includes("\0");
  if (isPlain || side === "ocsp" || side === "sctl") return ofBytes(bytes, false);
  const shown = blocks.filter((block) => !isPrivateKey(block));
  return ofBytes(Buffer.from(writePem(shown), "latin1"), true);
}

function ofBytes(bytes: Buffer, redacted: boolean): Sendable {
  return {
    ...{ size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex"), redacted },
    async *pieces(offset, prefix = NO_PREFIX) {
      for (let at = offset; at < bytes.length; at += PIECE_BYTES) {
        const piece = bytes.subarray(at, at + PIECE_BYTES);
        yield Buffer.concat([prefix(piece.length), piece]);
      }
    },
  };
}

async function* readPieces(
  directory: ManagedDirectory,
  { name, size }: FileFacts,
  offset: number,
  prefix: PiecePrefix,
): AsyncGenerator<Uint8Array> {
  const handle = await directory.openFile(name);
  if (handle === undefined) return;
  const reads: Promise<Buffer>[] = [];
  // Buffers of this size, made anew, cost the process a full collection every few dozen: the same ones are filled again.
  const free: Buffer[] = [];
  try {
    const readAt = async (at: number): Promise<Buffer> => {
      const length = Math.min(PIECE_BYTES, size - at);
      const before = prefix(length);
      const buffer = free.pop() ?? Buffer.allocUnsafeSlow(MAX_PREFIX_BYTES + PIECE_BYTES);
      buffer.set(before);
      const { bytesRead } = await handle.read(buffer, before.length, length, at);
      // Somebody has cut the file short in place.
      if (bytesRead < length) throw new Error(`${name} was cut short`);
      return buffer.subarray(0, before.length + length);
    };
    for (let next = offset; next < size || reads.length > 0; ) {
      for (; reads.length < READ_AHEAD && next < size; next += PIECE_BYTES) reads.push(readAt(next));
      const piece = await reads.shift()!;
      yield piece;
      free.push(Buffer.from(piece.buffer));
    }
  } finally {
    await Promise.allSettled(reads);
    await handle.close();
  }
}
