import assert from "node:assert/strict";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Transport } from "@connectrpc/connect";
import { EventKind } from "../../../gen/haplane/v1/events_pb.js";
import { DEFAULT_WATCH_LIMITS } from "../../../src/events/watch-limits.ts";
import { emptyLogState, MemoryEventLog } from "../../support/memory-event-log.ts";
import { waitFor } from "../../support/wait.ts";
import { startWatchEdge, type WatchEdge } from "../../support/watch-edge.ts";
import { testEvent } from "../../support/watch-world.ts";
import { STACKS, stackTransport, Watching } from "../../support/watching.ts";

/*
 * A thousand watches that are given up as soon as they have begun, or before: nothing of them stays, and nobody else notices.
 */

/** The first hundreds are there for what a process grows to by itself. */
const ROUNDS = [400, 300, 300];
const AT_ONCE = 100;
/** One HTTP/2 connection does not take a thousand quick cancels: docs/events.md. */
const CONNECTIONS = 4;
/** A watch that is not freed holds several times as much. */
const MOST_LEFT_EACH = 1_024;
/** Memory that is still to be freed goes by more than this from one look to the next. */
const SETTLED_BYTES = 50_000;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

describe("a thousand watches that are given up at once", { concurrency: false }, () => {
  let edge: WatchEdge;
  before(async () => {
    edge = await startWatchEdge(new MemoryEventLog(emptyLogState()), DEFAULT_WATCH_LIMITS);
  });
  after(() => edge?.stop());

  for (const stack of STACKS) {
    test(`leave nothing, and hurt no other: ${stack}`, async () => {
      const others = STACKS.map((each) => stackTransport(edge.dir, each));
      const watching = others.map(
        ({ transport }) => new Watching(transport, {}, { kinds: [EventKind.SERVER] }),
      );
      await Promise.all(watching.map((each) => each.begun()));
      const pipes = openPipes();
      const quick = Array.from({ length: CONNECTIONS }, () => stackTransport(edge.dir, stack));
      const published: string[] = [];
      const held: number[] = [];
      for (const round of ROUNDS) {
        for (let given = 0; given < round; given += AT_ONCE) {
          const id = `${stack}-${published.length}`;
          published.push(id);
          await giveUp(quick, given % (2 * AT_ONCE) > 0, () =>
            edge.hub.publish([testEvent(id, EventKind.SERVER, "backends/web/servers/a")]),
          );
        }
        // One that was given up before it was sent may still be on its way, so it is their own number that must be reached.
        await waitFor("the watches to be gone", () => edge.hub.counters.watchers === watching.length);
        await waitFor("their connections to go", () => openPipes() <= pipes + 2 * CONNECTIONS);
        held.push(await heldBytes());
      }
      const leaves = held.slice(1).map((bytes, i) => (bytes - (held[i] ?? 0)) / (ROUNDS[i + 1] ?? 0));
      assert.ok(
        Math.min(...leaves) < MOST_LEFT_EACH,
        `each leaves ${leaves.map(Math.round).join(", ")} bytes`,
      );

      for (const each of watching) {
        await waitFor("the last event", () => each.events.at(-1)?.author === published.at(-1));
        assert.equal(each.error, undefined);
        assert.deepEqual(
          each.events.map(({ author }) => author),
          published,
        );
      }
      await Promise.all(watching.map((each) => each.cancel()));
      for (const { close } of [...quick, ...others]) close();
      await waitFor("the others to be gone", () => edge.hub.counters.watchers === 0);
    });
  }
});

/** Begins watches and gives them up, when they have `begun` or at once. Something else goes on meanwhile. */
async function giveUp(
  connections: readonly { readonly transport: Transport }[],
  begun: boolean,
  meanwhile: () => Promise<void>,
): Promise<void> {
  const watches = Array.from({ length: AT_ONCE }, (_, i) => {
    const { transport } = connections[i % connections.length] ?? assert.fail("no connection");
    return new Watching(transport, {}, { includeCurrent: true });
  });
  if (begun) await Promise.all(watches.map((each) => each.begun()));
  await meanwhile();
  await Promise.all(watches.map((each) => each.cancel()));
}

/** Connections of this process, both ends of each. */
function openPipes(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === "PipeWrap").length;
}

/** The memory that is in use when all that can go has gone. */
async function heldBytes(): Promise<number> {
  let held = Number.POSITIVE_INFINITY;
  await waitFor("memory to settle", async () => {
    for (let n = 0; n < 5; n += 1) await turn();
    collectGarbage();
    const before = held;
    held = process.memoryUsage().heapUsed;
    return held > before - SETTLED_BYTES;
  });
  return held;
}
