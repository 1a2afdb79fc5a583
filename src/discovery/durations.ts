import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";

/** A duration in milliseconds. */
export function durationMs({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1_000 + nanos / 1_000_000;
}

/** A duration of so many whole milliseconds. */
export function duration(ms: number): Duration {
  return create(DurationSchema, {
    seconds: BigInt(Math.floor(ms / 1_000)),
    nanos: (ms % 1_000) * 1_000_000,
  });
}
