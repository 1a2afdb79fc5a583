import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pino } from "pino";
import { createHaproxy } from "../../src/haproxy/create-haproxy.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { HaproxyUnderTest } from "./commit-world.ts";
import { haproxyBinary } from "./haproxy.ts";

/** A real HAProxy for the commit's tests, run by haplane's own supervisor. */
export async function realHaproxy(
  directory: string,
  configuration: string,
  binary = haproxyBinary,
): Promise<HaproxyUnderTest> {
  const path = join(directory, "haproxy.cfg");
  const socket = join(directory, "stats.sock");
  await writeFile(path, `global\n    stats socket ${socket} mode 600 level admin\n\n${configuration}`);
  const haproxy = createHaproxy({
    ...{
      binary,
      files: [path],
      masterSocket: undefined,
      statsSocket: socket,
      stateDir: directory,
    },
    ...{ clock: systemClock, logger: pino({ level: "silent" }) },
  });
  return {
    haproxy,
    async servers() {
      const states = await haproxy.runtime.serverStates();
      return states
        .map(({ backend, server, address, port, weight, admin }) => {
          const state = admin.forcedMaint ? "maint" : admin.forcedDrain ? "drain" : "ready";
          return `${backend}/${server} ${address}:${port} ${weight} ${state}`;
        })
        .sort();
    },
    async drainByHand(backend, server) {
      await haproxy.runtime.execute(["set", "server", `${backend}/${server}`, "state", "drain"]);
    },
    reloads: () => (haproxy.state.kind === "running" ? haproxy.state.reloads : -1),
    end: () => haproxy.stop({ haproxy: "end", graceMs: 200 }),
  };
}
