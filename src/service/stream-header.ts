import type { DomainError } from "../lib/errors.ts";
import { fieldsInvalid } from "../rpc/fields.ts";

/** A stream that begins with a header, and the parts behind it, left to be asked for. */
export interface Headed<H, P> {
  readonly header: H;
  readonly rest: AsyncIterable<P>;
}

/** Reads the header that a stream of parts begins with. Throws `FIELD_INVALID` when it begins with anything else, or not at all. */
export async function readHeader<
  P extends { readonly part: { readonly case?: string | undefined; readonly value?: unknown } },
>(requests: AsyncIterable<P>): Promise<Headed<HeaderOf<P>, P>> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  const part = first.done === true ? undefined : first.value.part;
  if (part?.case !== "header") {
    await iterator.return?.();
    throw outOfOrder("must be the header in the first message");
  }
  return { header: part.value as HeaderOf<P>, rest: { [Symbol.asyncIterator]: () => iterator } };
}

type HeaderOf<P extends { readonly part: unknown }> =
  Extract<P["part"], { readonly case: "header" }> extends { readonly value: infer H } ? H : never;

/** A part that must not come at its place in a stream. */
export function outOfOrder(description: string): DomainError {
  return fieldsInvalid([{ field: "part", description }]);
}
