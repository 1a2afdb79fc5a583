import { toBinary } from "@bufbuild/protobuf";
import { type Event, EventKind, EventSchema, EventType } from "../../gen/haplane/v1/events_pb.js";
import type { EventLog, LogEntry, LoggedEvent } from "./event-log.ts";

/** Kinds of which the newest event of each resource is the present state. */
const KEPT: ReadonlySet<EventKind> = new Set([
  EventKind.REVISION,
  EventKind.SERVER,
  EventKind.SOURCE,
  EventKind.SERVICE,
  EventKind.PROCESS,
  EventKind.FILE,
  EventKind.TRANSACTION,
]);

/** The state of things as the log has it: what a watch begins with, so that nothing in it comes again as a change. It asks for what there is at the start, and follows the log. */
export class PresentState {
  readonly #newest = new Map<string, LoggedEvent>();
  readonly #unsubscribe: () => void;
  /** What the log has told of since somebody began to look what there is; undefined when nobody looks. */
  #told: Set<string> | undefined;

  constructor(log: EventLog) {
    this.#unsubscribe = log.subscribe((entries) => this.#follow(entries));
  }

  /** Takes what there is at the start. `look` may take a while: what the log tells meanwhile is newer than what it finds. */
  async begin(look: () => Promise<readonly Event[]>): Promise<void> {
    const told = new Set<string>();
    this.#told = told;
    const found = await look();
    this.#told = undefined;
    for (const event of found) {
      const { kind, resource } = event;
      if (!told.has(keyOf(event))) this.#keep({ kind, resource, bytes: toBinary(EventSchema, event) });
    }
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
    for (const event of entries.flatMap(({ events }) => events)) {
      if (KEPT.has(event.kind)) this.#told?.add(keyOf(event));
      this.#keep(event);
    }
  }

  #keep(event: LoggedEvent): void {
    if (!KEPT.has(event.kind)) return;
    if (event.bytes[TYPE_AT] === EventType.REMOVED) this.#newest.delete(keyOf(event));
    else this.#newest.set(keyOf(event), event);
  }
}

/** What an event takes the place of. There is one newest revision, and it has no successor under its own name. */
function keyOf({ kind, resource }: Pick<LoggedEvent, "kind" | "resource">): string {
  return kind === EventKind.REVISION ? "revision" : resource;
}

/** Where an encoded event has its type: behind the tag and value of the kind, and its own tag, a byte each. A test holds it against the generated code. */
const TYPE_AT = 3;
