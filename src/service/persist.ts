import { create } from "@bufbuild/protobuf";
import type { Change } from "../../gen/haplane/v1/configuration_pb.js";
import { ApplyRequestSchema } from "../../gen/haplane/v1/configuration_pb.js";
import { Role } from "../../gen/haplane/v1/options_pb.js";
import { DomainError } from "../lib/errors.ts";
import type { Caller } from "../rpc/handler.ts";
import type { appliedOf } from "./applied.ts";
import { batch, type WriteTools, write } from "./configuration-writes.ts";

/** What a persisted change answers beside what it changed. */
export interface Persisted {
  readonly revision: bigint;
  readonly applied?: ReturnType<typeof appliedOf>;
}

/** Nothing was persisted. */
export const NOT_PERSISTED: Persisted = { revision: 0n };

/** Writes changes to the configuration, as one revision. */
export async function persist(
  tools: WriteTools,
  caller: Caller,
  changes: readonly Change[],
): Promise<Persisted> {
  if (changes.length === 0) return NOT_PERSISTED;
  const input = batch(create(ApplyRequestSchema, { changes: [...changes] }));
  const { revision, applied } = await write(tools, {
    ...{ caller, input, options: undefined, message: "", along: undefined },
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
