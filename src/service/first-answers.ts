import { createHash } from "node:crypto";
import { type DescMessage, fromBinary, type Message, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import type { Store } from "../store/store.ts";

/** For how long an answer is kept. */
const KEPT_MS = 24 * 3_600_000;

const NOTHING = new Uint8Array(0);

/** A request that may come again. */
export interface Repeatable {
  /** Who sends it; ids of different callers have nothing to do with each other. */
  readonly caller: string;
  /** The caller's id of it; empty: it is never the same as another. */
  readonly requestId: string;
  /** The method's name. */
  readonly method: string;
  readonly schema: DescMessage;
  readonly request: Message;
  /** What else the request is made of: the data of a stream. */
  readonly further?: Uint8Array;
}

/** Answers requests once: one that comes again gets the answer that the first got. */
export interface FirstAnswers {
  /** Runs `answer` unless the request was answered before, or is being answered. Answers that are errors are not kept. Throws `FIELD_INVALID` when another request had the id. */
  once<O extends DescMessage>(
    request: Repeatable,
    output: O,
    answer: () => Promise<MessageShape<O>>,
  ): Promise<MessageShape<O>>;
}

/** Keeps answers in the store, so that a restart does not forget them. */
export function createFirstAnswers(options: {
  readonly store: Pick<Store, "write" | "answer">;
  readonly clock: Clock;
  readonly logger: Logger;
}): FirstAnswers {
  const { store, clock, logger } = options;
  const underway = new Map<string, { readonly digest: Buffer; readonly answer: Promise<Message> }>();

  const remember = async <O extends DescMessage>(
    { caller, requestId, method }: Repeatable,
    digest: Buffer,
    output: O,
    answer: () => Promise<MessageShape<O>>,
  ): Promise<MessageShape<O>> => {
    const kept = await store.answer(caller, requestId);
    if (kept !== undefined && kept.time > clock.now() - KEPT_MS) {
      if (kept.method !== method || !digest.equals(kept.digest)) throw otherRequest();
      return fromBinary(output, kept.answer);
    }
    const given = await answer();
    const time = clock.now();
    await store
      .write([
        {
          kind: "put-answer",
          answer: { caller, requestId, method, digest, time, answer: toBinary(output, given) },
          forgetBefore: time - KEPT_MS,
        },
      ])
      .catch((error: unknown) => {
        // The write itself is done and answered; only a retry would not know.
        logger.warn({ err: error, method }, "the answer to a request could not be kept for retries");
      });
    return given;
  };

  return {
    async once(request, output, answer) {
      const { caller, requestId, method } = request;
      if (requestId === "") return answer();
      const digest = createHash("sha256")
        .update(toBinary(request.schema, request.request))
        .update(request.further ?? NOTHING)
        .digest();
      const key = JSON.stringify([caller, requestId]);
      const first = underway.get(key);
      if (first !== undefined) {
        if (!first.digest.equals(digest)) throw otherRequest();
        return (await first.answer) as MessageShape<typeof output>;
      }
      const given = remember({ ...request, method }, digest, output, answer);
      underway.set(key, { digest, answer: given as Promise<Message> });
      try {
        return await given;
      } finally {
        underway.delete(key);
      }
    },
  };
}

function otherRequest(): DomainError {
  const description = "was used for another request";
  return new DomainError("FIELD_INVALID", `request_id ${description}`, {
    violations: [{ field: "request_id", description }],
  });
}
