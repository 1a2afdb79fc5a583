/** A process that reads a file (argument) as a document, uses it once, and prints its resident memory before and after. */

import { readFileSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { Document } from "../../src/text/document.ts";
import { replaceLine } from "../../src/text/edit.ts";
import { serversText } from "./servers.ts";

function load(bytes: Buffer): Document {
  const document = Document.parse([{ path: "haproxy.cfg", bytes }]);
  const [section] = document.find("backend", "b1");
  const [index] = section!.lines.find("server", "s11");
  return replaceLine(document, section!, index!, "    server s11 10.0.0.1:80").document;
}

async function resident(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc!();
    await turn();
  }
  return process.memoryUsage.rss();
}

const path = process.argv[2]!;
// An idle process has its code compiled.
load(Buffer.from(serversText(100, 10)));
const before = await resident();
const document = load(readFileSync(path));
const after = await resident();
console.log(JSON.stringify({ before, after, lines: document.lineCount(0) }));
