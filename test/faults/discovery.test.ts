import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { HttpFault } from "../support/http-proxy.ts";
import { type Night, startNight } from "../support/night.ts";
import { waitFor } from "../support/wait.ts";

/** How long a fault lasts: several retries. */
const FAULT_MS = 700;

/** Something that breaks around discovery. */
interface Fault {
  /** Breaks it; resolves with what heals it. */
  readonly begin: (night: Night) => Promise<() => Promise<void> | void> | (() => Promise<void> | void);
  /** Whether Consul can be told of instances meanwhile. Default true. */
  readonly consul?: "away";
  /** What becomes of an ordinary loss that happened meanwhile. Default: it is believed when all is well again. */
  readonly loss?: "unproven";
  /** Nobody can answer requests meanwhile. */
  readonly outage?: true;
}

const proxied = (fault: HttpFault, loss?: "unproven"): Fault => ({
  begin({ proxy }) {
    proxy.misbehave(fault);
    return () => proxy.misbehave(undefined);
  },
  ...(loss && { loss }),
});
const status = (code: number): Fault =>
  proxied({ instead: (_request, response) => void response.writeHead(code).end("no") });
const body = (text: string): Fault =>
  proxied({
    instead: (_request, response) =>
      void response.writeHead(200, { "content-type": "application/json", "x-consul-index": "7" }).end(text),
  });
const header = (name: string, value: string): Fault =>
  proxied(
    {
      headers(headers) {
        headers[name] = value;
      },
    },
    "unproven",
  );

const FAULTS: Readonly<Record<string, Fault>> = {
  "Consul answers 500": status(500),
  "Consul answers 400": status(400),
  "Consul answers 429": status(429),
  "Consul answers garbage": body("<html>"),
  "Consul answers nothing in JSON": body("null"),
  "Consul answers that there are no services and no instances, with an older index": proxied(
    {
      instead: ({ url = "" }, response) =>
        void response
          .writeHead(200, { "content-type": "application/json", "x-consul-index": "3" })
          .end(url.includes("/catalog/") ? "{}" : "[]"),
    },
    "unproven",
  ),
  "Consul breaks off in the middle of its answers": proxied({
    instead(_request, response) {
      response.writeHead(200, { "content-type": "application/json", "content-length": "100" }).write("[{");
      setImmediate(() => response.destroy());
    },
  }),
  "Consul never answers": proxied({ instead: () => {} }),
  "Consul answers slowly": proxied({ delayMs: 300 }),
  "Consul answers with an index that goes back": header("x-consul-index", "2"),
  "Consul has no leader": header("x-consul-knownleader", "false"),
  "Consul is paused": {
    begin({ consul }) {
      consul.pause();
      return () => consul.resume();
    },
    consul: "away",
  },
  "Consul is stopped": {
    async begin(night) {
      await night.killConsul();
      return () => night.reviveConsul("kept");
    },
    consul: "away",
  },
  "Consul is restarted and knows nothing": {
    async begin(night) {
      await night.killConsul();
      await night.reviveConsul("lost");
      return () => night.registerAll();
    },
    consul: "away",
  },
  "the token is revoked": {
    async begin(night) {
      await night.setRights("revoked");
      await night.untilState("RETRYING");
      return () => night.setRights("all");
    },
  },
  "the token may see nothing any more, which Consul calls no error": {
    async begin(night) {
      await night.setRights("none");
      return () => night.setRights("all");
    },
    loss: "unproven",
  },
  "HAProxy is reloaded by hand": {
    async begin({ haplane }) {
      process.kill(await masterOf(haplane), "SIGUSR2");
      return () => {};
    },
  },
  "HAProxy is killed": {
    async begin({ haplane }) {
      const { pid } = await haplane.worker();
      process.kill(pid, "SIGKILL");
      return () =>
        waitFor("another HAProxy", async () => {
          const now = await haplane.worker().catch(() => undefined);
          return now !== undefined && now.pid !== pid && (await haplane.ask("show version")) !== "";
        }).then(() => {});
    },
    outage: true,
  },
  "haplane is killed": {
    async begin({ haplane }) {
      const dead = Promise.withResolvers<void>();
      const revive = Promise.withResolvers<void>();
      const crashed = haplane.crash(() => {
        dead.resolve();
        return revive.promise;
      });
      await dead.promise;
      return () => {
        revive.resolve();
        return crashed;
      };
    },
  },
  "the disk is full": {
    begin({ disk }) {
      disk?.fill();
      return () => disk?.clear();
    },
  },
};

async function masterOf({ worker }: Night["haplane"]): Promise<number> {
  const { pid } = await worker();
  return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

describe("discovery, while everything around it fails", () => {
  let night: Night;
  before(async () => {
    night = await startNight();
  });
  after(() => night?.stop());

  for (const [name, { begin, consul, loss, outage }] of Object.entries(FAULTS)) {
    test(`${name}: convergent, no request lost, nobody out of traffic whom Consul calls healthy`, async () => {
      const leaver = await night.join();
      await night.converged();
      const heal = await begin(night);
      const change = async () => {
        await night.join();
        await night.leave(leaver);
      };
      if (consul !== "away") await change();
      await sleep(FAULT_MS);
      await heal();
      if (consul === "away") await change();
      if (loss === "unproven") {
        await night.converged([leaver]);
        await night.untilState("STALE");
        await night.haplane.call("haplane.v1.ServiceDiscovery/SyncSource", {
          name: "sources/local",
          acceptLoss: true,
        });
      }
      await night.converged();
      await night.untilState("SYNCED");
      await night.join();
      await night.converged();
      night.judge(outage);
    });
  }
});
