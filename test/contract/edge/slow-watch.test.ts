import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { EventKind, Events } from "../../../gen/haplane/v1/events_pb.js";
import type { EventHub } from "../../../src/events/event-hub.ts";
import { DEFAULT_WATCH_LIMITS } from "../../../src/events/watch-limits.ts";
import { emptyLogState, MemoryEventLog } from "../../support/memory-event-log.ts";
import { waitFor } from "../../support/wait.ts";
import { startWatchEdge, type WatchEdge } from "../../support/watch-edge.ts";
import { testEvent } from "../../support/watch-world.ts";
import { STACKS, stackTransport } from "../../support/watching.ts";

/*
 * A reader that stops reading, over real connections: it is ended when it is too far behind, costs little until then, and finds everything when it goes on from its cursor.
 */

/** More than all buffers on the way take. */
const MOST = 400_000;
const TOGETHER = 500;
const LIMITS = { ...DEFAULT_WATCH_LIMITS, tail: { bytes: 64 * 1024, entries: 1_000 }, lag: 5_000 };

describe("a reader that stops reading", { concurrency: false }, () => {
  let edge: WatchEdge;
  let hub: EventHub;
  before(async () => {
    edge = await startWatchEdge(new MemoryEventLog(emptyLogState()), LIMITS);
    hub = edge.hub;
  });
  after(() => edge?.stop());

  for (const stack of STACKS) {
    test(`is told to resume, and misses nothing: ${stack}`, async () => {
      const { transport, close } = stackTransport(edge.dir, stack);
      const client = createClient(Events, transport);
      const slow = client.watch({})[Symbol.asyncIterator]();
      let cursor = (await slow.next()).value.cursor as string;
      const ended = hub.counters.endedSlow;

      const published: string[] = [];
      for (let n = 0; n < MOST && hub.counters.endedSlow === ended; n += TOGETHER) {
        const events = Array.from({ length: TOGETHER }, (_, i) =>
          testEvent(`${stack}-${n + i}`, EventKind.SERVER, `backends/web/servers/s${i}`),
        );
        published.push(...events.map(({ author }) => author));
        await hub.publish(events);
        await turn();
      }
      assert.equal(hub.counters.endedSlow, ended + 1);
      assert.ok(hub.counters.tailBytes <= LIMITS.tail.bytes);
      assert.equal(hub.counters.watchers, 0);

      const received: string[] = [];
      const take = async (stream: AsyncIterator<{ events: { author: string }[]; cursor: string }>) => {
        const { value, done } = await stream.next();
        assert.ok(done !== true);
        received.push(...value.events.map(({ author }: { author: string }) => author));
        if (value.cursor !== "") cursor = value.cursor;
      };
      const error = await (async () => {
        for (;;) await take(slow);
      })().catch((thrown: unknown) => ConnectError.from(thrown));
      assert.equal(error.code, Code.ResourceExhausted, String(error));
      assert.equal(error.findDetails(RetryInfoSchema).length, 1);
      assert.ok(received.length < published.length);

      const abort = new AbortController();
      const again = client.watch({ cursor }, { signal: abort.signal })[Symbol.asyncIterator]();
      while (received.length < published.length) await take(again);
      assert.deepEqual(received, published);
      abort.abort();
      close();
      await waitFor("the watch to be gone", () => hub.counters.watchers === 0);
    });
  }
});
