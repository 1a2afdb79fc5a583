import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./programs.ts";

/** The versions of HAProxy whose answers are kept in test/answers, as they came off the stats socket. */
export const ANSWERING = ["2.6", "3.0", "3.2"] as const;

/** What a HAProxy answered to a command, as it comes out of the connection: without the blank lines around it. */
export function answerOf(version: (typeof ANSWERING)[number], command: string): string {
  const file = join(root, "test", "answers", version, `${command.replaceAll(" ", "-")}.txt`);
  return readFileSync(file, "utf8").replace(/^\n+|\n+$/g, "");
}
