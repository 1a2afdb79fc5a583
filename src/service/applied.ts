import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  Applied_Via,
  type AppliedSchema,
  type ConfigurationMessageSchema,
} from "../../gen/haplane/v1/configuration_pb.js";
import type { ChangeOutcome } from "../commit/change.ts";
import type { ConfigurationAlert } from "../lib/errors.ts";

/** More commands than this are not shown one by one. */
const MAX_COMMANDS = 1_000;

const VIA = { none: Applied_Via.NONE, runtime: Applied_Via.RUNTIME, reload: Applied_Via.RELOAD };

/** What is told of it. */
type AppliedFacts = Pick<ChangeOutcome, "via" | "reasons" | "reload" | "tookMs" | "commands" | "warnings">;

/** How a change reached HAProxy, in the API's words. */
export function appliedOf(outcome: AppliedFacts): MessageInitShape<typeof AppliedSchema> {
  const { via, reasons, reload, tookMs, commands, warnings } = outcome;
  const more = commands.length - MAX_COMMANDS;
  return {
    via: VIA[via],
    reasons: [...reasons],
    reload: reload === undefined ? "" : `reloads/${reload}`,
    took: durationFromMs(Math.round(tookMs)),
    runtimeCommands: [...commands.slice(0, MAX_COMMANDS), ...(more > 0 ? [`# and ${more} more`] : [])],
    warnings: warnings.map(messageOf),
  };
}

/** What HAProxy says about a line, in the API's words. */
export function messageOf({
  file,
  line,
  message,
  resource,
}: ConfigurationAlert): MessageInitShape<typeof ConfigurationMessageSchema> {
  return { file, line, message, resource: resource ?? "" };
}

/** What a retry is told of a write whose process ended before it could answer. */
export function unanswered(revision: number): {
  readonly revision: bigint;
  readonly applied: MessageInitShape<typeof AppliedSchema>;
  readonly diff: string;
} {
  const reasons = [`haplane ended before it could answer; the change is in revisions/${revision}`];
  return { revision: BigInt(revision), applied: { reasons }, diff: "" };
}
