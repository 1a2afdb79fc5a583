import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { EventKind, type EventSchema, type EventType, ProcessState } from "../../gen/haplane/v1/events_pb.js";
import type { ProcessState as HaproxyState } from "../haproxy/process-state.ts";

const STATES: Record<HaproxyState["kind"], ProcessState> = {
  starting: ProcessState.STARTING,
  running: ProcessState.RUNNING,
  down: ProcessState.DOWN,
  stopped: ProcessState.DOWN,
};

/** The API's word for the state of the HAProxy process. */
export function processStateOf(state: HaproxyState): ProcessState {
  return STATES[state.kind];
}

/** The event that a state of the HAProxy process is. */
export function processEvent(state: HaproxyState, type: EventType): MessageInitShape<typeof EventSchema> {
  const running = state.kind === "running" ? state : undefined;
  return {
    kind: EventKind.PROCESS,
    type,
    time: timestampFromDate(state.since),
    resource: "process",
    author: "haplane",
    payload: {
      case: "process",
      value: {
        state: processStateOf(state),
        version: running?.version.text ?? "",
        masterPid: running?.masterPid ?? 0,
        workerPid: running?.workerPid ?? 0,
        reason: state.kind === "down" ? state.reason : "",
      },
    },
  };
}
