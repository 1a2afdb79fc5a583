import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { HaproxyUnderTest } from "./commit-world.ts";
import { createScriptedHaproxy, type ScriptedHaproxy } from "./scripted-haproxy.ts";

/** A scripted HAProxy for the commit's tests. */
export async function scriptedHaproxy(
  directory: string,
  configuration: string,
): Promise<HaproxyUnderTest & { readonly haproxy: ScriptedHaproxy }> {
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
}
