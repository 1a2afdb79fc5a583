import { EventKind, EventType, ReloadState } from "../../gen/haplane/v1/events_pb.js";
import type { ReloadRecord } from "../store/operations.ts";
import type { EventDraft } from "./server-event.ts";

const STATES = { running: ReloadState.RUNNING, succeeded: ReloadState.SUCCEEDED, failed: ReloadState.FAILED };

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
        tookMs: endTime === undefined ? 0 : Math.max(0, endTime - startTime),
      },
    },
  };
}
