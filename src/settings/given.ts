import type { Message } from "@bufbuild/protobuf";
import { readValue, type Value } from "./read-value.ts";
import type { FlagSetting } from "./schema.ts";

/** What was said for a setting, and where: in a flag, a variable or a line of the file. */
export interface Given {
  /** A list for a repeated field. */
  readonly value: Value | readonly Value[] | readonly Message[];
  /** As in messages: `--grpc`, `HAPLANE_GRPC`, `haplane.yaml:3:1: grpc`. */
  readonly place: string;
}

/** What a place says, by the fields' names. */
export type AllGiven = ReadonlyMap<string, Given>;

/** Reads what a flag or a variable says. What is wrong is added to the problems. */
export function readGiven(
  { desc, multiple }: FlagSetting,
  place: string,
  texts: readonly string[],
  problems: string[],
): Given | undefined {
  const values: Value[] = [];
  for (const text of texts) {
    const read = readValue(desc, text);
    if ("problem" in read) problems.push(`${place} ${read.problem}`);
    else values.push(read.value);
  }
  const last = values.at(-1);
  if (last === undefined) return undefined;
  return { place, value: multiple ? values : last };
}
