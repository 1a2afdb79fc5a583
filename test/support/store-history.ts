import { create } from "@bufbuild/protobuf";
import { EventKind, EventSchema } from "../../gen/haplane/v1/events_pb.js";
import { diffContent } from "../../src/store/line-diff.ts";
import type { Operation } from "../../src/store/operations.ts";

/* A history whose every part follows from its numbers, so that whoever reads it can tell whether all of it is there. */

export const HISTORY_PATH = "/etc/haproxy/haproxy.cfg";
const LINES = 50;

/** What the file holds in revision `number`: each revision changes one line. */
export function historyContent(number: number): Buffer {
  const lines = Array.from({ length: LINES }, (_, line) => {
    // The newest revision up to this one that changed this line.
    const changed = number - ((((number - line) % LINES) + LINES) % LINES);
    return `server s${line} 10.0.0.1:80 # ${Math.max(0, changed)}\n`;
  });
  return Buffer.from(lines.join(""));
}

/** Resources of the events of revision `number`. */
export function historyEvents(number: number): string[] {
  return [`revisions/${number}`, `servers/s${number % LINES}`];
}

/** The batch that appends revision `number`. */
export function historyBatch(number: number, now: number): Operation[] {
  const content = historyContent(number);
  const file =
    number === 1
      ? { kind: "content" as const, path: HISTORY_PATH, content }
      : {
          kind: "edits" as const,
          path: HISTORY_PATH,
          edits: diffContent(historyContent(number - 1), content),
        };
  const events = historyEvents(number).map((resource) =>
    create(EventSchema, { kind: EventKind.SERVER, resource, revision: BigInt(number) }),
  );
  return [
    { kind: "finish-intent", id: `write-${number}` },
    {
      kind: "append-revision",
      revision: {
        number,
        parent: number - 1,
        time: now,
        author: "test",
        message: `revision ${number}`,
        lane: number % 3 === 0 ? "reload" : "discovery",
        resources: [],
        files: [file],
      },
    },
    { kind: "append-events", events },
    { kind: "put-meta", name: "last", value: Buffer.from(String(number)) },
  ];
}
