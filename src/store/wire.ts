import type { LoggedEvent } from "./event-log.ts";
import type { FileChange, Operation } from "./operations.ts";
import { encodeEvents } from "./packed-events.ts";
import type { WireOperation } from "./write-batch.ts";

/** A batch made ready for the writing thread. */
export interface WireBatch {
  readonly operations: readonly WireOperation[];
  /** Buffers to be handed over with it. None of them is the sender's own. */
  readonly buffers: readonly ArrayBuffer[];
  /** The events of each entry, in the order of the operations. */
  readonly entries: readonly (readonly LoggedEvent[])[];
  /** Bytes that it takes while it waits. */
  readonly size: number;
}

/**
 * Copies what a batch refers to, so that the sender may go on using it, into buffers of its own: a view that is sent as it is would take the whole buffer under it along,
 * which for the bytes of an edit is the whole file. `now` is the time of events that carry none.
 */
export function toWire(batch: readonly Operation[], now: number): WireBatch {
  const packing: Packing = { buffers: [], entries: [], now };
  const operations = batch.filter(hasEffect).map((operation) => packed(packing, operation));
  const { buffers, entries } = packing;
  const size = buffers.reduce((sum, buffer) => sum + buffer.byteLength, BATCH_OVERHEAD);
  return { operations, buffers, entries, size };
}

// What a batch takes beside its bytes, roughly.
const BATCH_OVERHEAD = 512;

interface Packing {
  readonly buffers: ArrayBuffer[];
  readonly entries: (readonly LoggedEvent[])[];
  readonly now: number;
}

/** An entry without events is none. */
function hasEffect(operation: Operation): boolean {
  return operation.kind !== "append-events" || operation.events.length > 0;
}

function packed(packing: Packing, operation: Operation): WireOperation {
  switch (operation.kind) {
    case "append-revision": {
      const { revision } = operation;
      const files = revision.files.map((change) => copyOfChange(packing, change));
      return { ...operation, revision: { ...revision, files } };
    }
    case "append-events": {
      const { events, packed } = encodeEvents(operation.events, packing.now);
      packing.entries.push(events);
      packing.buffers.push(packed.bytes.buffer);
      return { kind: "append-events", events: packed };
    }
    case "put-source": {
      const { name, settings, memory } = operation.source;
      return {
        ...operation,
        source: { name, settings: copy(packing, settings), memory: copy(packing, memory) },
      };
    }
    case "put-reload": {
      const { reload } = operation;
      if (reload.captured === undefined) return operation;
      return { ...operation, reload: { ...reload, captured: copy(packing, reload.captured) } };
    }
    case "begin-intent": {
      const { intent } = operation;
      const former = intent.former.map((change) => copyOfChange(packing, change));
      return { ...operation, intent: { ...intent, data: copy(packing, intent.data), former } };
    }
    case "put-meta":
      return { ...operation, value: copy(packing, operation.value) };
    case "append-transaction-write": {
      const { write } = operation;
      const [request, guards] = [copy(packing, write.request), copy(packing, write.guards)];
      return { ...operation, write: { ...write, request, guards } };
    }
    case "put-answer": {
      const { answer } = operation;
      const [digest, bytes] = [copy(packing, answer.digest), copy(packing, answer.answer)];
      return { ...operation, answer: { ...answer, digest, answer: bytes } };
    }
    case "append-file-version": {
      const { version } = operation;
      if (version.content === undefined) return operation;
      return { ...operation, version: { ...version, content: copy(packing, version.content) } };
    }
    case "delete-answer":
    case "put-transaction":
    case "delete-transaction":
    case "delete-source":
    case "finish-intent":
      return operation;
  }
}

function copyOfChange(packing: Packing, change: FileChange): FileChange {
  switch (change.kind) {
    case "content":
      return { ...change, content: copy(packing, change.content) };
    case "edits":
      return {
        ...change,
        edits: change.edits.map((edit) => ({ ...edit, bytes: copy(packing, edit.bytes) })),
      };
    case "absent":
      return change;
  }
}

function copy(packing: Packing, bytes: Uint8Array): Uint8Array {
  const own = new Uint8Array(bytes);
  packing.buffers.push(own.buffer);
  return own;
}
