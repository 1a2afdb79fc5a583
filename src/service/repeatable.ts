import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { Along } from "../commit/edit.ts";
import type { Caller } from "../rpc/handler.ts";
import type { Keep, Repeatable } from "./first-answers.ts";

/** What of a request's options says whether it may come again. */
interface Options {
  readonly requestId: string;
  readonly validateOnly: boolean;
  readonly transaction: string;
}

/** A write as a request that may come again. One that is only tried or staged may well be answered anew, so that its id does not count. */
export function repeatable<D extends DescMessage>(
  caller: Caller,
  method: string,
  schema: D,
  request: MessageShape<D>,
  options: Partial<Options> = request as object,
): Repeatable {
  const { requestId = "", validateOnly = false, transaction = "" } = options;
  const counts = !validateOnly && transaction === "";
  return { caller: caller.name, requestId: counts ? requestId : "", method, schema, request };
}

/** What a write `W` keeps along with its revision, where its answer is to be kept: the one that can be given by then. */
export function keeping<W, O extends DescMessage>(
  keep: Keep<O>,
  answer: (written: W) => MessageShape<O>,
): ((written: (revision: number) => W) => Along) | undefined {
  return keep && ((written) => keep((revision) => answer(written(revision))));
}
