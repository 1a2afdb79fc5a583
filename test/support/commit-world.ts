import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { pino } from "pino";
import { type Event, type EventKind, EventSchema } from "../../gen/haplane/v1/events_pb.js";
import { Commit } from "../../src/commit/commit.ts";
import type { Edit } from "../../src/commit/edit.ts";
import type { CommitPolicy } from "../../src/commit/policy.ts";
import type { PublishEphemeral } from "../../src/commit/server-event.ts";
import type { NewServer } from "../../src/discovery/target.ts";
import type { Haproxy } from "../../src/haproxy/haproxy.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { FileSystem } from "../../src/lib/durable-file.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { Document } from "../../src/text/document.ts";

/** An HAProxy for the suite: what the configuration must have in `global` for it, and the process. */
export interface HaproxyUnderTest {
  readonly haproxy: Haproxy;
  /** `backend/server address:port weight state`, sorted, as the accepting worker has them. */
  servers(): Promise<readonly string[]>;
  /** Somebody drains a server by hand, on the socket. */
  drainByHand(backend: string, server: string): Promise<void>;
  /** How often it was reloaded. */
  reloads(): number;
  end(): Promise<void>;
}

/** Makes one over a configuration file that it may still have to complete. */
export type HaproxyFactory = (directory: string, configuration: string) => Promise<HaproxyUnderTest>;

/** A configuration with one backend of two servers. */
export const BODY = `# written by hand
defaults
    mode http
    timeout connect 1s
    timeout client  5s
    timeout server  5s

backend web   # the first
    server a 127.0.0.1:18001 id 1
    server b 127.0.0.1:18002 id 2 weight 5
`;

/** A server on loopback. */
export const server = (name: string, port: number, id: number, weight = 1): NewServer => ({
  name,
  address: "127.0.0.1",
  port,
  weight,
  id,
});

/** A commit over files, a store and an HAProxy of its own. */
export interface World extends HaproxyUnderTest {
  readonly directory: string;
  readonly path: string;
  readonly commit: Commit;
  readonly store: Store;
  readonly planned: Event[];
  text(): Promise<string>;
  /** Stops the commit and begins anew over the same files, store and HAProxy. */
  restart(): Promise<World>;
}

/** Makes a world, and takes it down after the test. */
export async function commitWorld(
  t: TestContext,
  factory: HaproxyFactory,
  body = BODY,
  policy: Partial<CommitPolicy> = {},
  fs?: FileSystem,
): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), "haplane-commit-"));
  const path = join(directory, "haproxy.cfg");
  const under = await factory(directory, body);
  const closers: (() => Promise<void>)[] = [];
  t.after(async () => {
    for (const close of closers.reverse()) await close();
    await under.end();
    await rm(directory, { recursive: true, force: true });
  });
  const logger = pino({ level: "silent" });
  const open = async (): Promise<World> => {
    const store = await openStore(join(directory, "state"), { clock: systemClock, logger, pid: process.pid });
    const planned: Event[] = [];
    const publishEphemeral: PublishEphemeral = (make) => void planned.push(...make());
    const commit = await Commit.open({
      paths: [path],
      haproxy: under.haproxy,
      store,
      clock: systemClock,
      logger,
      publishEphemeral,
      policy,
      ...(fs && { fs }),
    });
    if (under.haproxy.state.kind !== "running") await under.haproxy.start();
    await commit.start();
    const close = once(async () => {
      await commit.stop();
      await store.close();
    });
    closers.push(close);
    return {
      ...{
        haproxy: under.haproxy,
        servers: under.servers,
        drainByHand: under.drainByHand,
        reloads: under.reloads,
        end: under.end,
      },
      ...{ directory, path, commit, store, planned },
      text: () => readFile(path, "utf8"),
      async restart() {
        await close();
        return open();
      },
    };
  };
  return open();
}

function once(action: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= action();
    return done;
  };
}

/** The durable events of a kind. */
export async function durableEvents(store: Store, kind: EventKind): Promise<Event[]> {
  const { entries } = await store.events.read(0, { events: 10_000, bytes: 1e8 });
  return entries
    .flatMap((entry) => entry.events.map(({ bytes }) => fromBinary(EventSchema, bytes)))
    .filter((event) => event.kind === kind);
}

/** An edit of the whole text, by what it does to it. */
export function textEdit(
  change: (text: string) => string,
): Edit & { readonly text: (text: string) => string } {
  return {
    text: change,
    apply(document) {
      const text = document.print(0).toString();
      const changed = change(text);
      if (changed === text) return document;
      return Document.parse(document.parts.map(({ path }) => ({ path, bytes: Buffer.from(changed) })));
    },
    resources: [],
    author: "tester",
    message: "changes the text",
    servers: [],
  };
}
