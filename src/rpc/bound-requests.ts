import { DomainError } from "../lib/errors.ts";

/** What a client may stream in one call. */
export interface StreamLimits {
  /** Bytes of all its messages together. Default 16 GiB. */
  readonly maxUploadBytes: number;
  /** How long it may rest between two messages. Default 60,000 ms. */
  readonly uploadIdleMs: number;
}

/**
 * Hands on the messages of a client, and fails with `LIMIT_EXCEEDED` when they become too many or do not come: who begins an upload and stays away holds a file open that nobody else gets rid of.
 */
export async function* boundRequests<T>(requests: AsyncIterable<T>, limits: StreamLimits): AsyncGenerator<T> {
  const { maxUploadBytes, uploadIdleMs } = limits;
  const iterator = requests[Symbol.asyncIterator]();
  let bytes = 0;
  try {
    for (;;) {
      const step = await within(uploadIdleMs, iterator.next());
      if (step.done === true) return;
      bytes += sizeOf(step.value);
      if (bytes > maxUploadBytes)
        throw new DomainError("LIMIT_EXCEEDED", `an upload has at most ${maxUploadBytes} bytes`, {
          metadata: { limit: "max_upload_size", maximum: String(maxUploadBytes) },
        });
      yield step.value;
    }
  } finally {
    // What is parked answers only when something comes; nobody waits for that.
    iterator.return?.().catch(() => {});
  }
}

/** The bytes that a message holds in texts and bytes: about its size, without encoding it again. */
function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (value instanceof Uint8Array) return value.byteLength;
  if (typeof value !== "object" || value === null) return 8;
  let sum = 0;
  for (const part of Object.values(value)) sum += sizeOf(part);
  return sum;
}

async function within<T>(ms: number, step: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new DomainError("LIMIT_EXCEEDED", `nothing came for ${ms} ms; begin the upload again`, {
          metadata: { limit: "upload_idle", maximum: `${ms} ms` },
        }),
      );
    }, ms);
  });
  try {
    return await Promise.race([step, late]);
  } finally {
    clearTimeout(timer);
  }
}
