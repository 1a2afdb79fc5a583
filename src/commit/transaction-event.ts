import { EventKind, EventType, TransactionState } from "../../gen/haplane/v1/events_pb.js";
import type { Operation } from "../store/operations.ts";
import { eventNow } from "./server-event.ts";

const STATES = {
  open: TransactionState.OPEN,
  committed: TransactionState.COMMITTED,
  aborted: TransactionState.ABORTED,
  expired: TransactionState.EXPIRED,
};

/** What became of a transaction. */
export interface TransactionStep {
  readonly name: string;
  readonly state: keyof typeof STATES;
  /** Who did it. */
  readonly author: string;
  /** Names of the resources that it writes. */
  readonly resources: readonly string[];
  /** The revision that it became; 0 for none. */
  readonly revision?: number;
}

/** Tells watchers of a transaction. */
export function tellTransaction(now: number, step: TransactionStep): Operation {
  const { name, state, author, resources, revision = 0 } = step;
  const draft = {
    kind: EventKind.TRANSACTION,
    type: state === "open" ? EventType.ADDED : EventType.REMOVED,
    resource: name,
    payload: {
      case: "transaction" as const,
      value: { state: STATES[state], resources: [...resources] },
    },
  };
  return { kind: "append-events", events: [eventNow(draft, now, { author, revision })] };
}
