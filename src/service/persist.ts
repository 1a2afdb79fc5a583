import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { Change } from "../../gen/haplane/v1/configuration_pb.js";
import { ApplyRequestSchema } from "../../gen/haplane/v1/configuration_pb.js";
import { Role } from "../../gen/haplane/v1/options_pb.js";
import { DomainError } from "../lib/errors.ts";
import type { CallContext, Caller } from "../rpc/handler.ts";
import type { appliedOf } from "./applied.ts";
import { checkRequest } from "./check-request.ts";
import {
  batch,
  type WriteAnswer,
  type WriteRequest,
  type WriteTools,
  write,
} from "./configuration-writes.ts";
import type { FirstAnswers, Write } from "./first-answers.ts";
import { keeping, repeatable } from "./repeatable.ts";

/** What a persisted change answers beside what it changed. */
export interface Persisted {
  readonly revision: bigint;
  readonly applied?: ReturnType<typeof appliedOf>;
}

/** Nothing was persisted. */
export const NOT_PERSISTED: Persisted = { revision: 0n };

/** What is kept with the revision of a change, so that a retry gets its answer; undefined where nobody may ask again. */
export type PersistAlong = WriteRequest["along"];

/** What requests of changes that can be persisted have in common. */
type Persistable = Message & { readonly persist: boolean; readonly requestId: string };

/** A handler of requests that can be persisted: one that comes again under its id gets the first answer. What is made at runtime only is made again. */
export function persistable<I extends DescMessage, O extends DescMessage>(
  answers: FirstAnswers,
  { name, input, output }: DescMethodUnary<I, O>,
  handle: (
    request: MessageShape<I>,
    context: CallContext,
    along: PersistAlong,
  ) => Promise<MessageInitShape<O>>,
): (request: MessageShape<I> & Persistable, context: CallContext) => Promise<MessageInitShape<O>> {
  // All of these answers have a revision, and how it was applied.
  const answerOf = (answer: object) =>
    create(output, answer as MessageInitShape<O>) as MessageShape<O> & Write;
  return async (request, context) => {
    checkRequest(input, request);
    if (!request.persist) return handle(request, context, undefined);
    const again = repeatable(context.caller, `Runtime.${name}`, input, request);
    return answers.once(again, output, async (keep) => {
      // What is known when the revision is: the server or frontend is read later.
      const early = ({ revision, applied }: WriteAnswer) => answerOf({ revision, applied });
      return answerOf(await handle(request, context, keeping(keep, early)));
    });
  };
}

/** Writes changes to the configuration, as one revision. */
export async function persist(
  tools: WriteTools,
  caller: Caller,
  changes: readonly Change[],
  along: PersistAlong,
): Promise<Persisted> {
  if (changes.length === 0) return NOT_PERSISTED;
  const input = batch(create(ApplyRequestSchema, { changes: [...changes] }));
  const { revision, applied } = await write(tools, {
    ...{ caller, input, options: undefined, message: "", along },
  });
  return { revision, applied };
}

/** Whoever changes the configuration by way of the running process needs the role for it. Throws `PERMISSION_DENIED`. */
export function requireEditor({ role }: Caller): void {
  if (role >= Role.EDITOR) return;
  throw new DomainError(
    "PERMISSION_DENIED",
    "persist changes the configuration, which takes the role editor",
    {
      metadata: { role: "editor" },
    },
  );
}
