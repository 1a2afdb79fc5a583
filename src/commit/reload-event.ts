import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { EventKind, EventType, ReloadState } from "../../gen/haplane/v1/events_pb.js";
import { cutList } from "../lib/cut-list.ts";
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

/** HAProxy can complain of each line of a large file. */
const MAX_OUTPUT = 64 * 1024;

/** The event that a reload's record is. */
export function reloadEvent({
  number,
  state,
  reasons,
  output,
  startTime,
  endTime,
}: ReloadRecord): EventDraft {
  const { first, more } = cutList(reasons);
  return {
    kind: EventKind.RELOAD,
    type: state === "running" ? EventType.ADDED : EventType.UPDATED,
    resource: `reloads/${number}`,
    payload: {
      case: "reload",
      value: {
        state: STATES[state],
        ...{ reasons: first, moreReasons: more },
        output: output.slice(0, MAX_OUTPUT),
        ...(endTime !== undefined && { took: durationFromMs(Math.max(0, Math.round(endTime - startTime))) }),
      },
    },
  };
}
