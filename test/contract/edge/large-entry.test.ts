import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import {
  EventKind,
  Events,
  type WatchResponse,
  WatchResponseSchema,
} from "../../../gen/haplane/v1/events_pb.js";
import { DEFAULT_WATCH_LIMITS } from "../../../src/events/watch-limits.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { LOG_KINDS, type LogPlace } from "../../support/event-logs.ts";
import { startWatchEdge, type WatchEdge } from "../../support/watch-edge.ts";
import { testEvent } from "../../support/watch-world.ts";
import { STACKS, stackTransport } from "../../support/watching.ts";

/*
 * A revision that changes so much that its events are more than a message of gRPC may have: they come in several, at once or from the log, and are not to be resumed in between.
 */

const EVENTS = 60_000;
const MOST_BYTES = 4 * 1024 * 1024;

const [, stored] = LOG_KINDS;

describe("events of one entry that exceed a message", { concurrency: false }, () => {
  let place: LogPlace;
  let opened: Awaited<ReturnType<LogPlace["open"]>>;
  let edge: WatchEdge;
  const ids = Array.from({ length: EVENTS }, (_, i) => `event-${i}`);

  before(async () => {
    place = await (stored ?? assert.fail("no such log")).create(systemClock);
    opened = await place.open();
    edge = await startWatchEdge(opened.log, DEFAULT_WATCH_LIMITS);
  });
  after(async () => {
    await edge?.stop();
    await opened?.close();
    await place?.remove();
  });

  const entry = () => ids.map((id, i) => testEvent(id, EventKind.SERVER, `backends/web/servers/s${i}`, 1));

  for (const stack of STACKS) {
    test(`come whole: ${stack}`, async () => {
      const { transport, close } = stackTransport(edge.dir, stack);
      const abort = new AbortController();
      const watch = (cursor: string) =>
        createClient(Events, transport).watch({ cursor }, { signal: abort.signal })[Symbol.asyncIterator]();
      const live = watch("");
      const { cursor } = (await live.next()).value as WatchResponse;
      await edge.hub.publish(entry());
      const first = await wholeEntry(live);
      assertWhole(first);

      // It has been pushed out of what is held in memory by its own size: this comes from the disk.
      const again = watch(cursor);
      const [bookmark, ...replayed] = [await again.next(), ...(await wholeEntry(again))];
      assert.ok((bookmark.value as WatchResponse).bookmark);
      assertWhole(replayed);
      assert.equal(replayed.at(-1)?.cursor, first.at(-1)?.cursor);
      abort.abort();
      close();
    });
  }

  /** The messages of one entry. */
  async function wholeEntry(stream: AsyncIterator<WatchResponse>): Promise<WatchResponse[]> {
    const messages: WatchResponse[] = [];
    for (;;) {
      const { value, done } = await stream.next();
      assert.ok(done !== true);
      messages.push(value);
      if (!value.partial) return messages;
    }
  }

  function assertWhole(messages: readonly WatchResponse[]): void {
    assert.deepEqual(
      messages.flatMap(({ events }) => events.map(({ author }) => author)),
      ids,
    );
    assert.ok(messages.length > 1);
    for (const message of messages) {
      assert.ok(toBinary(WatchResponseSchema, message).length < MOST_BYTES);
      assert.equal(message.cursor === "", message.partial, "only the last one is to be resumed from");
    }
  }
});
