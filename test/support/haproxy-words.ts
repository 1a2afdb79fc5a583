import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** One alert about a line of the configuration. */
export interface LineAlert {
  readonly line: number;
  readonly message: string;
}

async function inTemporaryDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "haplane-words-"));
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The alerts `haproxy -c` gives for the bytes of one file. It stops at the fiftieth. */
export function alertsOf(config: Buffer, env: Record<string, string> = {}): Promise<LineAlert[]> {
  return inTemporaryDirectory(async (directory) => {
    const file = join(directory, "a.cfg");
    await writeFile(file, config);
    const child = spawn("haproxy", ["-c", "-f", file], { env: { PATH: process.env["PATH"], ...env } });
    const chunks: Buffer[] = [];
    child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
    await new Promise((resolve) => child.on("close", resolve));
    const alerts = Buffer.concat(chunks)
      .toString("latin1")
      .matchAll(/parsing \[[^\]]*:(\d+)\] ?: (.*)/g);
    return Array.from(alerts, ([, line, message]) => ({ line: Number(line), message: message! }));
  });
}

/**
 * The words that HAProxy itself finds in each line, up to the first empty one. Each line is read as the patterns of an
 * ACL by a running HAProxy, and asked back over its socket. Values come as latin1.
 */
export function wordsByHaproxy(
  lines: readonly Buffer[],
  env: Record<string, string> = {},
): Promise<string[][]> {
  return inTemporaryDirectory(async (directory) => {
    const socket = join(directory, "s");
    const head = `global\n stats socket ${socket} level admin\ndefaults\n mode http\n timeout client 1s\nfrontend f\n bind unix@${join(directory, "f")}\n`;
    // A pattern in front keeps lines without words legal.
    const acls = lines.map((line, index) =>
      Buffer.concat([Buffer.from(` acl c${index} path -m sub -- start `), line, Buffer.from("\n")]),
    );
    const uses = lines.map((_, index) => ` http-request deny if c${index}\n`).join("");
    const file = join(directory, "a.cfg");
    await writeFile(file, Buffer.concat([Buffer.from(head), ...acls, Buffer.from(uses)]));
    const child = spawn("haproxy", ["-db", "-f", file], { env: { PATH: process.env["PATH"], ...env } });
    let log = "";
    let ended = false;
    child.stderr.on("data", (chunk) => {
      log += chunk;
    });
    const closed = new Promise<void>((resolve) =>
      child.on("close", () => {
        ended = true;
        resolve();
      }),
    );
    try {
      const found: string[][] = [];
      for (let index = 0; index < lines.length; index++) {
        const answer = await ask(socket, `show acl #${index}\n`, () => {
          if (ended) throw new Error(`HAProxy ended: ${log}`);
        });
        const entries = answer.split(/^0x[0-9a-f]+ /m).slice(1);
        found.push(entries.map((entry) => entry.replace(/\n$/, "")).slice(1));
        const last = found.at(-1)!;
        // The answer ends with an empty line of its own.
        if (last.length > 0) last[last.length - 1] = last.at(-1)!.replace(/\n$/, "");
      }
      return found;
    } finally {
      child.kill("SIGKILL");
      await closed;
    }
  });
}

async function ask(path: string, command: string, alive: () => void): Promise<string> {
  for (;;) {
    alive();
    try {
      return await new Promise<string>((resolve, reject) => {
        const chunks: Buffer[] = [];
        const connection = createConnection(path, () => connection.write(command));
        connection.on("data", (chunk) => chunks.push(chunk));
        connection.on("error", reject);
        connection.on("end", () => resolve(Buffer.concat(chunks).toString("latin1")));
      });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ECONNREFUSED") throw error;
      await delay(5);
    }
  }
}
