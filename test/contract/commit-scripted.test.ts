import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createScriptedHaproxy } from "../support/scripted-haproxy.ts";
import { commitSuite } from "./commit-suite.ts";

commitSuite("a scripted HAProxy", async (directory, configuration) => {
  const path = join(directory, "haproxy.cfg");
  await writeFile(path, configuration);
  const haproxy = await createScriptedHaproxy([path]);
  return {
    haproxy,
    servers: async () => haproxy.servers(),
    drainByHand: async (backend, server) => haproxy.byHand(backend, server, { state: "drain" }),
    reloads: () => haproxy.asked.filter((what) => what === "reload").length,
    end: () => haproxy.stop({ haproxy: "leave" }),
  };
});
