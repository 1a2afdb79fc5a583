import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { EventKind, type EventSchema, EventType } from "../../gen/haplane/v1/events_pb.js";
import type { FileChange } from "../storage/file-change.ts";
import { fileName } from "../storage/kinds.ts";
import type { StoredFile } from "../storage/stored-file.ts";

const TYPES: Record<FileChange["type"], EventType> = {
  added: EventType.ADDED,
  updated: EventType.UPDATED,
  removed: EventType.REMOVED,
  expiring: EventType.UPDATED,
};

/** The event that a change of a file is. */
export function fileEvent(change: FileChange, now: number): MessageInitShape<typeof EventSchema> {
  const { type, kind, facts, author, notAfter } = change;
  return {
    kind: EventKind.FILE,
    type: TYPES[type],
    time: timestampFromMs(now),
    resource: fileName(kind, facts.name),
    author,
    payload: {
      case: "file",
      value: {
        sha256: facts.sha256,
        size: BigInt(facts.size),
        expiring: type === "expiring",
        ...(notAfter !== undefined && { notAfter: timestampFromMs(notAfter) }),
      },
    },
  };
}

/** What a watch begins with of a file. */
export function presentFile({ kind, facts, certificates }: StoredFile): MessageInitShape<typeof EventSchema> {
  const { name, sha256, size, modifyTime } = facts;
  const notAfter = certificates[0]?.notAfter;
  return {
    kind: EventKind.FILE,
    type: EventType.CURRENT,
    time: timestampFromMs(modifyTime),
    resource: fileName(kind, name),
    payload: {
      case: "file",
      value: {
        sha256,
        size: BigInt(size),
        ...(notAfter !== undefined && { notAfter: timestampFromMs(notAfter) }),
      },
    },
  };
}
