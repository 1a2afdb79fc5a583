import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { EventKind, type EventSchema, EventType } from "../../gen/haplane/v1/events_pb.js";
import type { Clock } from "../lib/clock.ts";
import type { AuditRecord } from "../rpc/audit.ts";

/** Records wait this long for others, so that many calls cost one write to the log. */
const GATHER_MS = 20;

/** An error can have the words of HAProxy about each line of a large file. */
const MAX_ERROR = 4_096;

/** The events of calls. */
export interface AuditTrail {
  /** To be told of every audited call that has ended. */
  record(record: AuditRecord): void;
  /** Publishes what still waits. */
  close(): void;
}

/** Makes events of the records of calls and publishes them, a few together. */
export function createAuditTrail({
  clock,
  publish,
}: {
  readonly clock: Clock;
  readonly publish: (events: MessageInitShape<typeof EventSchema>[]) => void;
}): AuditTrail {
  let waiting: MessageInitShape<typeof EventSchema>[] = [];
  let cancel = () => {};
  const flush = () => {
    cancel();
    const events = waiting;
    waiting = [];
    if (events.length > 0) publish(events);
  };
  return {
    record(record) {
      waiting.push(auditEvent(record, clock.now()));
      if (waiting.length === 1) cancel = clock.after(GATHER_MS, flush);
    },
    close: flush,
  };
}

function auditEvent(record: AuditRecord, now: number): MessageInitShape<typeof EventSchema> {
  const { caller, resources, outcome, revision, tookMs, error = "", ...facts } = record;
  return {
    ...{ kind: EventKind.AUDIT, type: EventType.ADDED, time: timestampFromMs(now), author: caller },
    resource: resources[0] ?? record.method,
    payload: {
      case: "audit",
      value: {
        ...{ ...facts, resources: [...resources], code: outcome, error: error.slice(0, MAX_ERROR) },
        ...{ revision: BigInt(revision ?? 0), took: durationFromMs(tookMs) },
      },
    },
  };
}
