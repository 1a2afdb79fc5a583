import { setTimeout as delay } from "node:timers/promises";
import type { Calls } from "./calls.ts";
import type { Connections } from "./connections.ts";

/** How long the last statuses may take to reach their clients before connections are cut. */
const FLUSH_MS = 250;

/**
 * Ends what goes on behind a listener that accepts nothing more: streams at once, with UNAVAILABLE; other calls when they are done or `graceMs` have passed;
 * connections when they are empty, at the latest a quarter of a second after that.
 */
export async function closeGracefully(
  calls: Calls,
  connections: Connections,
  graceMs: number,
): Promise<void> {
  const closed = connections.idle();
  calls.shutDown("streams");
  await within(graceMs, Promise.race([closed, calls.idle()]));
  calls.shutDown("all");
  await within(FLUSH_MS, closed);
  connections.destroy();
  await closed;
}

async function within(ms: number, done: Promise<void>): Promise<void> {
  const giveUp = new AbortController();
  await Promise.race([done, delay(ms, undefined, { signal: giveUp.signal }).catch(() => {})]);
  giveUp.abort();
}
