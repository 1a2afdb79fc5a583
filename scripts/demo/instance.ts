import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { endChild } from "../../test/support/child.ts";

const APP = fileURLToPath(new URL("app.ts", import.meta.url));

/** An instance of the demo's application, in a process of its own. */
export interface Instance {
  readonly name: string;
  /** Of 127.0.0.1, where it listens. */
  readonly port: number;
  /** Ends the process, whatever it is doing. */
  end(): Promise<void>;
}

/** Starts one, and waits until it listens. */
export async function startInstance(name: string): Promise<Instance> {
  // In a group of its own: Ctrl-C is for the demo, which ends it when nobody asks it any more.
  const child = spawn(process.execPath, [APP, name], {
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [first] = await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
  const port = Number(String(first));
  if (child.exitCode !== null || !(port > 0)) throw new Error(`the instance ${name} could not be started`);
  return { name, port, end: () => endChild(child, "SIGKILL", 0) };
}
