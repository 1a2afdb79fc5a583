import { EventKind, EventType, TransactionState } from "../../gen/haplane/v1/events_pb.js";
import { cutList } from "../lib/cut-list.ts";
import type { Operation } from "../store/operations.ts";
import { eventNow } from "./server-event.ts";

const STATES = {
  open: TransactionState.OPEN,
  staged: TransactionState.OPEN,
  committed: TransactionState.COMMITTED,
  aborted: TransactionState.ABORTED,
  expired: TransactionState.EXPIRED,
};

const TYPES = {
  open: EventType.ADDED,
  staged: EventType.UPDATED,
  committed: EventType.REMOVED,
  aborted: EventType.REMOVED,
  expired: EventType.REMOVED,
};

/** A transaction of many writes tells after each of at most so many resources: all of them each time would be quadratic. */
export const MAX_WHILE_OPEN = 100;

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
  const { first, more } = cutList(resources, state === "staged" ? MAX_WHILE_OPEN : undefined);
  const draft = {
    kind: EventKind.TRANSACTION,
    type: TYPES[state],
    resource: name,
    payload: {
      case: "transaction" as const,
      value: { state: STATES[state], resources: first, moreResources: more },
    },
  };
  return { kind: "append-events", events: [eventNow(draft, now, { author, revision })] };
}
