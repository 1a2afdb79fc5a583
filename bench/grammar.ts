import type { Bench } from "../scripts/bench/bench.ts";
import { measureLines } from "./grammar/lines.ts";
import { measureText } from "./grammar/text.ts";

/** What it costs to read, edit and print configuration. */
const measure: Bench = async (context) => [...(await measureText(context)), ...(await measureLines(context))];

export default measure;
