/** A process that prints the CPU time, in milliseconds, that compiling the grammar takes. */

import process from "node:process";
import { configGrammar } from "../../src/grammar/config-grammar.ts";

const before = process.cpuUsage();
configGrammar();
const { user, system } = process.cpuUsage(before);
console.log((user + system) / 1000);
