import { createHash } from "node:crypto";
import {
  clone,
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { type Applied, AppliedSchema } from "../../gen/haplane/v1/configuration_pb.js";
import type { Along } from "../commit/edit.ts";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import type { Operation } from "../store/operations.ts";
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

/** The answer of a write. */
export type Write = Message & { applied?: Applied | undefined };

/** Says what is kept with the revision of a write that is under way, from which its answer is made. Undefined where nobody asked for the answer to be kept. */
export type Keep<O extends DescMessage> =
  | ((answer: (revision: number) => MessageShape<O>) => Along)
  | undefined;

/** Answers requests once: one that comes again gets the answer that the first got, which then says so. */
export interface FirstAnswers {
  /**
   * Runs `write` unless the request was answered before, or is being answered. Answers that are errors are not kept. What `keep` gives belongs with the write's revision, so that a process that ends before
   * it answers leaves an answer all the same. Throws `FIELD_INVALID` when another request had the id.
   */
  once<O extends DescMessage>(
    request: Repeatable,
    output: O,
    write: (keep: Keep<O>) => Promise<MessageShape<O> & Write>,
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
  /** Requests that failed after their answer was kept, until the store has forgotten it. */
  const failed = new Set<string>();

  const forget = (key: string, { caller, requestId }: Repeatable): void => {
    failed.add(key);
    store.write([{ kind: "delete-answer", caller, requestId }]).then(
      () => failed.delete(key),
      () => {},
    );
  };

  const remember = async <O extends DescMessage>(
    request: Repeatable,
    key: string,
    digest: Buffer,
    output: O,
    write: (keep: Keep<O>) => Promise<MessageShape<O> & Write>,
  ): Promise<MessageShape<O>> => {
    const { caller, requestId, method } = request;
    const kept = failed.has(key) ? undefined : await store.answer(caller, requestId);
    if (kept !== undefined && kept.time > clock.now() - KEPT_MS) {
      if (kept.method !== method || !digest.equals(kept.digest)) throw otherRequest();
      return replayed(fromBinary(output, kept.answer));
    }
    const put = (answer: MessageShape<O>): Operation => {
      const time = clock.now();
      const bytes = toBinary(output, answer);
      return {
        kind: "put-answer",
        answer: { caller, requestId, method, digest, time, answer: bytes },
        forgetBefore: time - KEPT_MS,
      };
    };
    let isKept = false;
    const given = await write((answer) => ({
      put(revision) {
        isKept = true;
        return [put(answer(revision))];
      },
      remove: () => [{ kind: "delete-answer", caller, requestId }],
    })).catch((error: unknown) => {
      // What is refused has changed nothing. Of a defect that is not known.
      if (isKept && error instanceof DomainError) forget(key, request);
      throw error;
    });
    failed.delete(key);
    await store.write([put(given)]).catch((error: unknown) => {
      // The write itself is done and answered, and what a retry gets says so.
      logger.warn({ err: error, method }, "the whole answer to a request could not be kept for retries");
    });
    return given;
  };

  return {
    async once(request, output, write) {
      const { caller, requestId } = request;
      if (requestId === "") return write(undefined);
      const digest = createHash("sha256")
        .update(toBinary(request.schema, request.request))
        .update(request.further ?? NOTHING)
        .digest();
      const key = JSON.stringify([caller, requestId]);
      const first = underway.get(key);
      if (first !== undefined) {
        if (!first.digest.equals(digest)) throw otherRequest();
        return replayed(clone(output, (await first.answer) as MessageShape<typeof output>));
      }
      const given = remember(request, key, digest, output, write);
      underway.set(key, { digest, answer: given as Promise<Message> });
      try {
        return await given;
      } finally {
        underway.delete(key);
      }
    },
  };
}

/** The answer, which says that it was given before. */
function replayed<M extends Write>(answer: M): M {
  answer.applied ??= create(AppliedSchema);
  answer.applied.replayed = true;
  return answer;
}

function otherRequest(): DomainError {
  const description = "was used for another request";
  return new DomainError("FIELD_INVALID", `request_id ${description}`, {
    violations: [{ field: "request_id", description }],
  });
}
