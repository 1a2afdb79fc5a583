/** Reads `show stat` each second and splits it into cells, which is the least that statistics cost. `node read-stats.ts SOCKET` */

import process from "node:process";
import { setInterval } from "node:timers/promises";
import { Prompt } from "./prompt.ts";

const prompt = new Prompt(process.argv[2] as string);
let cells = 0;
for await (const _tick of setInterval(1_000)) {
  const answer = await prompt.ask("show stat");
  for (const line of answer.split("\n")) cells += line.split(",").length;
  process.stdout.write(`${cells}\n`);
}
