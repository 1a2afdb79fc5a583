import { toBinary } from "@bufbuild/protobuf";
import { type Event, EventKind, EventSchema, EventType } from "../../gen/haplane/v1/events_pb.js";
import type { EventLog, LogEntry, LoggedEvent } from "./event-log.ts";

/** Kinds of which the newest event of each resource is the present state. */
const KEPT: ReadonlySet<EventKind> = new Set([
  EventKind.SERVER,
  EventKind.SOURCE,
  EventKind.SERVICE,
  EventKind.PROCESS,
  EventKind.FILE,
  EventKind.TRANSACTION,
]);

/** The state of things as the log has it: what a watch begins with, so that nothing in it comes again as a change. It is given what there is at the start, and follows the log. */
export class PresentState {
  readonly #newest = new Map<string, LoggedEvent>();
  readonly #unsubscribe: () => void;

  constructor(log: EventLog) {
    this.#unsubscribe = log.subscribe((entries) => this.#follow(entries));
  }

  /** What there is at the start. */
  begin(events: readonly Event[]): void {
    for (const event of events)
      this.#keep({ kind: event.kind, resource: event.resource, bytes: toBinary(EventSchema, event) });
  }

  /** The present state as encoded events of type CURRENT. */
  *events(): Generator<LoggedEvent> {
    for (const { kind, resource, bytes } of this.#newest.values()) {
      const current = Uint8Array.from(bytes);
      current[TYPE_AT] = EventType.CURRENT;
      yield { kind, resource, bytes: current };
    }
  }

  /** Stops following. */
  close(): void {
    this.#unsubscribe();
  }

  #follow(entries: readonly LogEntry[]): void {
    for (const { events } of entries) for (const event of events) this.#keep(event);
  }

  #keep(event: LoggedEvent): void {
    // There is one newest revision, and it has no successor under its own name.
    if (event.kind === EventKind.REVISION) this.#newest.set("revision", event);
    else if (!KEPT.has(event.kind)) return;
    else if (event.bytes[TYPE_AT] === EventType.REMOVED) this.#newest.delete(event.resource);
    else this.#newest.set(event.resource, event);
  }
}

/** Where an encoded event has its type: behind the tag and value of the kind, and its own tag, a byte each. A test holds it against the generated code. */
const TYPE_AT = 3;
