import { create, equals, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  EventKind,
  type EventSchema,
  EventType,
  type ProcessEvent,
  ProcessEventSchema,
  ProcessState,
} from "../../gen/haplane/v1/events_pb.js";
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
  return {
    kind: EventKind.PROCESS,
    type,
    time: timestampFromDate(state.since),
    resource: "process",
    author: "haplane",
    payload: { case: "process", value: processFacts(state) },
  };
}

function processFacts(state: HaproxyState): MessageInitShape<typeof ProcessEventSchema> {
  const running = state.kind === "running" ? state : undefined;
  return {
    state: processStateOf(state),
    version: running?.version.text ?? "",
    masterPid: running?.masterPid ?? 0,
    workerPid: running?.workerPid ?? 0,
    reason: state.kind === "down" ? state.reason : "",
  };
}

/** Makes events of changes of the process's state. What an event does not show (the number of old workers, say) is no change to a watcher. */
export function tellProcess(
  publish: (event: MessageInitShape<typeof EventSchema>) => void,
): (state: HaproxyState) => void {
  let told: ProcessEvent | undefined;
  return (state) => {
    const value = create(ProcessEventSchema, processFacts(state));
    if (told !== undefined && equals(ProcessEventSchema, value, told)) return;
    told = value;
    publish(processEvent(state, EventType.UPDATED));
  };
}
