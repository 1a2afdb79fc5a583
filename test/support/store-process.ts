/**
 * A process with a store, to be killed: `node store-process.ts open DIR` opens it and ends; `write DIR` goes on with the history of `store-history.ts` for ever and prints
 * the number of each revision that was answered. Maintenance runs all the time, so that it is killed too.
 */

import { writeSync } from "node:fs";
import process from "node:process";
import { pino } from "pino";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { DomainError } from "../../src/lib/errors.ts";
import { openStore } from "../../src/store/store.ts";
import { historyBatch } from "./store-history.ts";

const hurried: Clock = {
  ...systemClock,
  after: (delayMs, action) => systemClock.after(Math.min(delayMs, 5), action),
};

const [command, directory = ""] = process.argv.slice(2);
const say = (line: string) => writeSync(1, `${line}\n`);

try {
  const store = await openStore(directory, {
    clock: hurried,
    logger: pino({ level: "silent" }),
    pid: process.pid,
    retention: { revisions: 40, discoveryRevisions: 40, eventBytes: 4_000 },
  });
  say("open");
  if (command === "write") {
    for (const { id } of await store.pendingIntents()) await store.write([{ kind: "finish-intent", id }]);
    let number = store.newestRevision;
    const lane = async () => {
      for (;;) {
        number += 1;
        const mine = number;
        const intent = { id: `write-${mine}`, time: mine, base: 0, former: [], data: Buffer.alloc(0) };
        // Handed over together, as writers that do not wait for each other do: they share a transaction, or follow each other.
        const begun = store.write([{ kind: "begin-intent", intent }]);
        await store.write(historyBatch(mine, Date.now()));
        await begun;
        say(String(mine));
      }
    };
    await Promise.all([lane(), lane(), lane()]);
  }
  await store.close();
} catch (error) {
  say(error instanceof DomainError ? `${error.reason} ${error.message}` : String(error));
  process.exitCode = 1;
}
