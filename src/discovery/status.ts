import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  SourceState,
  type SourceStatus,
  SourceStatusSchema,
} from "../../gen/haplane/v1/service_discovery_pb.js";

/** Where a source is in its life; see `haplane.v1.SourceState`. `reason` is a sentence for people. */
export type State =
  /** Not watched: not enabled, or not started. */
  | { readonly kind: "disabled" }
  /** The first answers are awaited, or the first backends. */
  | { readonly kind: "starting" }
  /** HAProxy runs what the registry said last, or is about to. */
  | { readonly kind: "synced" }
  /** A backend is being made, everything else is done. */
  | { readonly kind: "syncing"; readonly reason: string }
  /** Some of what the registry says is not believed. */
  | { readonly kind: "stale"; readonly reason: string }
  /** Some query got no good answer, and is made again. */
  | { readonly kind: "retrying"; readonly reason: string }
  /** Some change was refused, and is tried again. */
  | { readonly kind: "rejected"; readonly reason: string };

/** What is known about a source's watch; times are in milliseconds since 1970. */
export interface Status {
  readonly state: State;
  readonly index: bigint;
  readonly lastSuccessMs: number | undefined;
  readonly lastError: { readonly atMs: number; readonly message: string } | undefined;
  readonly services: number;
  readonly servers: number;
  /** Which losses are not believed and why; empty when there are none. */
  readonly unbelieved: string;
}

const STATES: Readonly<Record<State["kind"], SourceState>> = {
  disabled: SourceState.DISABLED,
  starting: SourceState.STARTING,
  synced: SourceState.SYNCED,
  syncing: SourceState.SYNCING,
  stale: SourceState.STALE,
  retrying: SourceState.RETRYING,
  rejected: SourceState.REJECTED,
};

/** A status as answers and events have it. */
export function toSourceStatus(status: Status): SourceStatus {
  const { state, lastSuccessMs, lastError } = status;
  return create(SourceStatusSchema, {
    state: STATES[state.kind],
    reason: "reason" in state ? state.reason : "",
    index: status.index,
    ...(lastSuccessMs === undefined ? {} : { lastSuccessTime: timestampFromMs(lastSuccessMs) }),
    ...(lastError === undefined
      ? {}
      : {
          lastErrorTime: timestampFromMs(lastError.atMs),
          lastError: lastError.message,
        }),
    services: status.services,
    servers: status.servers,
    unbelieved: status.unbelieved,
  });
}
