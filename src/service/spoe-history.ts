import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Event, EventKind, type EventSchema, EventType } from "../../gen/haplane/v1/events_pb.js";
import type { Along } from "../commit/edit.ts";
import { eventNow } from "../commit/server-event.ts";
import { splitName } from "../config/name.ts";
import type { Clock } from "../lib/clock.ts";
import { cutList } from "../lib/cut-list.ts";
import { fileName } from "../spoe/file-errors.ts";
import type { SpoeCommit, SpoeFiles, SpoeHistory } from "../spoe/spoe-files.ts";
import type { NewFileVersion } from "../store/operations.ts";
import type { Store } from "../store/store.ts";

/** Keeps the versions of SPOE files in the store, and tells watchers of them. */
export function spoeHistory({
  store,
  clock,
}: {
  readonly store: Pick<Store, "write" | "fileVersions">;
  readonly clock: Clock;
}): SpoeHistory {
  return {
    async newest(name) {
      const [version] = await store.fileVersions.list({ file: fileName(name), limit: 1 });
      return version;
    },
    async names() {
      const there = (await store.fileVersions.newest()).filter(({ sha256 }) => sha256 !== "");
      return there.flatMap(({ file }) => {
        const parts = splitName(file);
        return parts?.[0] === "spoe" && parts.length === 2 ? [parts[1]!] : [];
      });
    },
    async found(name, commit) {
      const now = clock.now();
      await store.write([
        { kind: "append-file-version", version: versionOf(name, commit, 0, now) },
        {
          kind: "append-events",
          events: [eventNow(eventOf(name, commit), now, { author: commit.author })],
        },
      ]);
    },
  };
}

/** What a watch begins with: the files as they are, by the versions that made them so. */
export async function presentSpoe(
  files: Pick<SpoeFiles<unknown, unknown>, "list">,
  store: Pick<Store, "fileVersions">,
): Promise<Event[]> {
  const versions = new Map((await store.fileVersions.newest()).map((version) => [version.file, version]));
  return (await files.list()).map(({ facts, version: number }) => {
    const { name, sha256, size, modifyTime } = facts;
    const { author = "external", revision = 0, time = modifyTime } = versions.get(fileName(name)) ?? {};
    const value = { sha256, size: BigInt(size), version: BigInt(number) };
    const draft = {
      ...{ kind: EventKind.FILE, type: EventType.CURRENT, resource: fileName(name) },
      payload: { case: "file" as const, value },
    };
    return eventNow(draft, time, { author, revision });
  });
}

/** What is kept of a change of a file along with its revision. */
export function alongSpoe(clock: Clock, name: string, commit: SpoeCommit): Along {
  return {
    put(revision) {
      const now = clock.now();
      const event = eventNow(eventOf(name, commit), now, { author: commit.author, revision });
      return [
        { kind: "append-file-version", version: versionOf(name, commit, revision, now) },
        { kind: "append-events", events: [event] },
      ];
    },
    // What takes a file back is found on the disk, and is a version of its own.
    remove: () => [],
  };
}

function versionOf(
  name: string,
  { version: number, author, message, resources, content, sha256 }: SpoeCommit,
  revision: number,
  time: number,
): NewFileVersion {
  const digest = content === undefined ? "" : sha256;
  return {
    file: fileName(name),
    ...{ number, time, author, message, revision, resources, content, sha256: digest },
  };
}

function eventOf(
  name: string,
  { after, isNew, version, sha256, size, resources }: SpoeCommit,
): MessageInitShape<typeof EventSchema> {
  const changed = isNew ? EventType.ADDED : EventType.UPDATED;
  const { first, more } = cutList(resources);
  return {
    kind: EventKind.FILE,
    type: after === undefined ? EventType.REMOVED : changed,
    resource: fileName(name),
    payload: {
      case: "file",
      value: {
        ...{ sha256, size: BigInt(size), version: BigInt(version) },
        ...{ resources: first, moreResources: more },
      },
    },
  };
}
