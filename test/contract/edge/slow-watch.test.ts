import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { pino } from "pino";
import { Registry } from "prom-client";
import { RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { EventKind, Events } from "../../../gen/haplane/v1/events_pb.js";
import { createEventHub } from "../../../src/events/create-event-hub.ts";
import { PresentState } from "../../../src/events/present-state.ts";
import { DEFAULT_WATCH_LIMITS } from "../../../src/events/watch-limits.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { createConnectListener } from "../../../src/rpc/connect.ts";
import { createEdge } from "../../../src/rpc/edge.ts";
import { createGrpcListener } from "../../../src/rpc/grpc.ts";
import { createHealth } from "../../../src/rpc/health.ts";
import type { Listener } from "../../../src/rpc/listener.ts";
import { eventsService } from "../../../src/service/events.ts";
import { emptyLogState, MemoryEventLog } from "../../support/memory-event-log.ts";
import { waitFor } from "../../support/wait.ts";
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
  const dir = mkdtempSync(join(tmpdir(), "haplane-slow-"));
  const log = new MemoryEventLog(emptyLogState());
  const hub = createEventHub({ log, clock: systemClock, limits: LIMITS });
  const present = new PresentState(log);
  const listeners: Listener[] = [];

  before(async () => {
    mkdirSync(join(dir, "state"));
    const edge = createEdge({
      services: [eventsService(hub, present)],
      health: createHealth(),
      verify: () => undefined,
      log: pino({ level: "silent" }),
      metrics: new Registry(),
      clock: systemClock,
      audit: () => {},
    });
    const at = (name: string) => ({ kind: "unix", path: join(dir, "state", name) }) as const;
    const policy = { authentication: "peer" } as const;
    listeners.push(
      await createGrpcListener(edge, { address: at("grpc.sock"), policy }),
      await createConnectListener(edge, { address: at("connect.sock"), policy, routes: [] }),
    );
  });

  after(async () => {
    hub.close();
    present.close();
    await Promise.all(listeners.map((listener) => listener.close(0)));
    rmSync(dir, { recursive: true, force: true });
  });

  for (const stack of STACKS) {
    test(`is told to resume, and misses nothing: ${stack}`, async () => {
      const { transport, close } = stackTransport(dir, stack);
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
