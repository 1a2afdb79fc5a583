import { randomUUID } from "node:crypto";
import { EventKind, EventType } from "../../gen/haplane/v1/events_pb.js";
import type { Clock } from "../lib/clock.ts";
import { Content } from "../lib/content.ts";
import { cutList } from "../lib/cut-list.ts";
import { Serial } from "../lib/serial.ts";
import type { FileChange, NewIntent, Operation, RevisionLane } from "../store/operations.ts";
import type { Store } from "../store/store.ts";
import type { AttachedChange } from "./attached-files.ts";
import { byteEdit, isUnchanged } from "./byte-edit.ts";
import type { FilePart } from "./config-files.ts";
import type { Edit } from "./edit.ts";
import { type AnnouncedFile, encodeIntent, type OnRefusal } from "./intent.ts";
import { type EventDraft, eventNow, serverEvent } from "./server-event.ts";

/** How many revisions are looked through at start for one that is not discovery's. Where there is none, the newest counts, which refuses more than it has to. */
const LOOKED_AT = 1_000;

/** How many revisions, and changes that had no effect, are kept in mind to tell whether a revision is still current. */
const KEPT_IN_MIND = 100;

/** What is to be recorded. */
export interface Entry {
  /** What the files hold. */
  readonly parts: readonly FilePart[];
  readonly lane: RevisionLane;
  /** The edits since the revision before. */
  readonly edits: readonly Edit[];
  /** What goes into the same transaction, e.g. the end of an intent. Given the revision's number. */
  readonly with?: (revision: number) => readonly Operation[];
  /** Further events of the revision, handed to watchers together with those of the edits. */
  readonly events?: readonly EventDraft[];
}

/** The revisions, appended one after another. */
export class History {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #serial = new Serial();
  /** What the newest revision's files hold. */
  #recorded: ReadonlyMap<string, Content> = new Map();
  #newest: number;
  /** Numbers of the revisions that are not discovery's alone, ascending; of those before the first it is not known. */
  #others: readonly number[];
  /** Changes that had no effect: the first revision that has one, and the last. */
  #undone: readonly { readonly from: number; readonly to: number }[] = [];

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#newest = store.newestRevision;
    this.#others = [this.#newest];
  }

  /** Number of the newest revision. */
  get newest(): number {
    return this.#newest;
  }

  /** Whether nothing came after a revision but what discovery did alone, and what had no effect. A revision that has in it what was taken back since is not current. */
  isCurrent(revision: number): boolean {
    if (revision > this.#newest || revision < this.#others[0]!) return false;
    if (this.#undone.some(({ from, to }) => from <= revision && revision <= to)) return false;
    return this.#others.every(
      (other) => other <= revision || this.#undone.some(({ from }) => from === other),
    );
  }

  /** Says that what a revision changed was taken back just now: what is recorded from here on does not have it. */
  takenBack(revision: number): void {
    this.#undone = [...this.#undone, { from: revision, to: this.#newest }].slice(-KEPT_IN_MIND);
  }

  /** Reads what the newest revision's files hold, so that the next one can be told by what differs. Returns it; undefined when there is no revision yet. */
  async load(): Promise<ReadonlyMap<string, Content> | undefined> {
    if (this.#newest === 0) return undefined;
    const recorded = new Map<string, Content>();
    for (const { path } of await this.#store.revisions.files(this.#newest)) {
      recorded.set(path, Content.of(await readRevision(this.#store, this.#newest, path)));
    }
    this.#recorded = recorded;
    const recent = await this.#store.revisions.list({ limit: LOOKED_AT });
    const other = recent.find(({ lane }) => lane !== "discovery");
    if (other !== undefined) this.#others = [other.number];
    return recorded;
  }

  /**
   * The announcement that the files, which hold `former` now, are about to hold `next` (the same files in the same order), others change along with them, and HAProxy has to take it. It has what the edits keep
   * along with their revisions, which after a crash will be one, the next.
   */
  intent(
    former: readonly FilePart[],
    next: readonly FilePart[],
    onRefusal: OnRefusal,
    attached: readonly AttachedChange[],
    edits: readonly Edit[] = [],
  ): NewIntent {
    const own = next.map(({ path, content }, index) => ({
      path,
      edit: byteEdit(former[index]!.content, content),
    }));
    return {
      id: randomUUID(),
      time: this.#clock.now(),
      base: this.#newest,
      former: [...changesBetween(this.#recorded, contentOf(former)), ...attached.map(formerOf)],
      data: encodeIntent({
        onRefusal,
        next: [...own, ...attached.map(announced)],
        along: alongOf(edits, this.#newest + 1),
      }),
    };
  }

  /** Whether the newest revision's file holds exactly these bytes. */
  isRecorded(path: string, content: Content): boolean {
    return this.#recorded.get(path)?.equals(content) ?? false;
  }

  /** Appends a revision with its events, in one transaction; resolves with its number when it is durable. Rejects with `STORE_UNAVAILABLE`, and can then be tried again. */
  async append(entry: Entry): Promise<number> {
    const [number] = await this.appendAll([entry]);
    return number!;
  }

  /** The same with several revisions, one after another: all of them or none. */
  appendAll(entries: readonly Entry[]): Promise<readonly number[]> {
    return this.#serial.run(async () => {
      let [newest, recorded] = [this.#newest, this.#recorded];
      const others = [...this.#others];
      const numbers: number[] = [];
      const operations: Operation[] = [];
      for (const entry of entries) {
        const content = contentOf(entry.parts);
        operations.push(...this.#revision(entry, newest, changesBetween(recorded, content)));
        newest += 1;
        numbers.push(newest);
        if (entry.lane !== "discovery") others.push(newest);
        recorded = content;
      }
      await this.#store.write(operations);
      [this.#newest, this.#recorded] = [newest, recorded];
      this.#others = others.slice(-KEPT_IN_MIND);
      return numbers;
    });
  }

  /** What the store needs to know of a revision. */
  #revision(
    { lane, edits, events: others = [], with: beside }: Entry,
    parent: number,
    files: FileChange[],
  ): Operation[] {
    const number = parent + 1;
    const now = this.#clock.now();
    const author = authorOf(edits);
    const message = messageOf(edits);
    const resources = [...new Set(edits.flatMap((edit) => edit.resources))];
    const committed = {
      kind: EventKind.REVISION,
      type: EventType.ADDED,
      resource: `revisions/${number}`,
      payload: { case: "revisionCommitted" as const, value: revisionFacts(message, resources) },
    };
    const along = [...alongOf(edits, number), ...(beside?.(number) ?? [])];
    const events = [
      eventNow(committed, now, { author, revision: number }),
      ...edits.flatMap(({ servers, author: by }) =>
        servers.map((facts) => serverEvent(facts, false, now, { author: by, revision: number })),
      ),
      ...others.map((event) => eventNow(event, now, { author, revision: number })),
      // All events of a revision come together.
      ...along.flatMap((operation) => (operation.kind === "append-events" ? operation.events : [])),
    ];
    const revision = { number, parent, time: now, author, message, lane, resources, files };
    return [
      { kind: "append-revision", revision },
      { kind: "append-events", events },
      ...along.filter(({ kind }) => kind !== "append-events"),
    ];
  }
}

/** What an event tells of a revision. */
export function revisionFacts(message: string, resources: readonly string[]) {
  const { first, more } = cutList(resources);
  return { message, resources: first, moreResources: more };
}

/** How contents of files differ from those before. */
function changesBetween(
  former: ReadonlyMap<string, Content>,
  present: ReadonlyMap<string, Content>,
): FileChange[] {
  const changes: FileChange[] = [];
  for (const [path, content] of present) {
    const before = former.get(path);
    if (before === undefined) changes.push({ kind: "content", path, content: content.bytes });
    else if (before !== content && !isUnchanged(before, content))
      changes.push({ kind: "edits", path, edits: [byteEdit(before, content)] });
  }
  for (const path of former.keys()) if (!present.has(path)) changes.push({ kind: "absent", path });
  return changes;
}

function alongOf(edits: readonly Edit[], revision: number): Operation[] {
  return edits.flatMap(({ along }) => along?.put(revision) ?? []);
}

function formerOf({ path, former }: AttachedChange): FileChange {
  return former === undefined
    ? { kind: "absent", path }
    : { kind: "content", path, content: former.content.bytes };
}

function announced({ path, former, next }: AttachedChange): AnnouncedFile {
  const edit = next && byteEdit(former?.content ?? Content.EMPTY, next.content);
  return { path, edit, ...(former && { mode: former.mode, owner: former.owner }) };
}

function contentOf(parts: readonly FilePart[]): ReadonlyMap<string, Content> {
  return new Map(parts.map(({ path, content }) => [path, content]));
}

/** The whole content of a file in a revision. */
export async function readRevision(store: Store, revision: number, path: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of store.revisions.read(revision, path)) pieces.push(piece);
  return Buffer.concat(pieces);
}

function authorOf(edits: readonly Edit[]): string {
  const authors = new Set(edits.map((edit) => edit.author));
  return authors.size === 1 ? [...authors][0]! : "haplane";
}

const NAMED_IN_MESSAGE = 3;

function messageOf(edits: readonly Edit[]): string {
  const messages = edits.map((edit) => edit.message);
  if (messages.length <= NAMED_IN_MESSAGE) return messages.join(", ");
  return `${messages.slice(0, NAMED_IN_MESSAGE).join(", ")} and ${messages.length - NAMED_IN_MESSAGE} more`;
}
