import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { EventKind, EventType, ReloadState } from "../../gen/haplane/v1/events_pb.js";
import type { ReloadOutcome, ReloadRecord } from "../store/operations.ts";
import type { EventDraft } from "./server-event.ts";

const STATES: Readonly<Record<ReloadOutcome, ReloadState>> = {
  running: ReloadState.RUNNING,
  succeeded: ReloadState.SUCCEEDED,
  failed: ReloadState.FAILED,
  lost: ReloadState.LOST,
};

/** The API's word for how far a reload is. */
export function reloadStateOf(state: ReloadOutcome): ReloadState {
  return STATES[state];
}

/** The event that a reload's record is. */
export function reloadEvent({
  number,
  state,
  reasons,
  output,
  startTime,
  endTime,
}: ReloadRecord): EventDraft {
  return {
    kind: EventKind.RELOAD,
    type: state === "running" ? EventType.ADDED : EventType.UPDATED,
    resource: `reloads/${number}`,
    payload: {
      case: "reload",
      value: {
        state: STATES[state],
        reasons: [...reasons],
        output,
        ...(endTime !== undefined && { took: durationFromMs(Math.max(0, Math.round(endTime - startTime))) }),
      },
    },
  };
}
